#include "verbs.h"

#include <string.h>
#include <strings.h>

/* A recording made from a recording keeps its sample format, where the new file can hold it. */
static enum takt_sample inherited_format(const char *source, const char *sink)
{
    struct takt_device_info info;
    if (takt_device_query(source, &info, NULL) < 0 || strcmp(info.backend, "file") != 0)
        return TAKT_SAMPLE_DEFAULT;
    const char *ending = strrchr(sink, '.');
    if (ending && !strcasecmp(ending, ".wav"))
        return info.format;
    if (ending && !strcasecmp(ending, ".flac") &&
        (info.format == TAKT_S16 || info.format == TAKT_S24))
        return info.format;
    return TAKT_SAMPLE_DEFAULT;
}

int verb_run(struct options *o)
{
    int first = o->in ? 0 : 1, last = o->out ? 0 : 1;
    int status = verb_words(o, first + last, WORDS_MAX, "SOURCE [EFFECT...] SINK");
    if (status)
        return status;
    struct chain chain = {.count = 0};
    for (int i = first; !status && i < o->word_count - last; i++)
        status = strncmp(o->words[i], "pipe:", 5) ? chain_add_word(&chain, o, o->words[i])
                                                  : chain_add_pipe(&chain, o, o->words[i] + 5);
    const char *source = o->in ? o->in : o->words[0];
    const char *sink = o->out ? o->out : o->words[o->word_count - 1];
    struct session s = {.chain = &chain};
    if (!status)
        status = verb_session(o, &s, source, sink);
    if (!status && !s.stream.out.device_format)
        s.stream.out.device_format = inherited_format(source, sink);
    if (!status)
        status = session_run(&s);
    chain_free(&chain);
    return status;
}
