/* takt/format.h - sample formats (provisional; the dsp module brings the whole). */
#ifndef TAKT_FORMAT_H
#define TAKT_FORMAT_H
#include "takt/error.h"
enum takt_sample { TAKT_SAMPLE_DEFAULT = 0, TAKT_F32, TAKT_S16, TAKT_S24, TAKT_S32, TAKT_U8 };
enum takt_dither { TAKT_DITHER_OFF = 0, TAKT_DITHER_TPDF };
enum takt_clip { TAKT_CLIP_ON = 0, TAKT_CLIP_OFF };
#endif
