/* Prints which libtakt this program runs with.
 *
 *     cc version.c -o version $(pkg-config --cflags --libs takt) && ./version
 */
#include <stdio.h>
#include <takt/takt.h>

int main(void)
{
    printf("libtakt %s\n", takt_version());
    return 0;
}
