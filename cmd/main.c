#include <stdio.h>
#include <takt/takt.h>

int main(void)
{
    printf("takt %s\n", takt_version());
    return 0;
}
