#include "base/permit.h"

_Thread_local struct takt_permit takt_permit;
