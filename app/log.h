// The log of `tocsin run`, to the standard error: lines for people, or one JSON object a line. Only app logs; what lies
// below hands its Notices here.
#pragma once

#include "app/config.h"
#include "daemon/notices.h"

namespace tocsin::app {

void start_log(LogLevel level, LogFormat format);
void log(const daemon::Notice& notice);

}  // namespace tocsin::app
