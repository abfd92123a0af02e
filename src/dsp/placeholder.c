int takt_dsp_placeholder;
