// What the daemon shows of itself: the last status the task has published, as Prometheus text and as JSON. The board is
// the only place where two threads meet: the task copies a status in, a request copies it out; the path of an event is
// not touched.
#pragma once

#include <chrono>
#include <mutex>
#include <string>

#include "daemon/status.h"

namespace tocsin::app {

class Board {
 public:
  void publish(daemon::TaskStatus status);
  /// The loop moves, even if it only waits for a broker.
  void alive();
  [[nodiscard]] daemon::TaskStatus status() const;
  [[nodiscard]] std::chrono::steady_clock::duration since_alive() const;

 private:
  mutable std::mutex mutex_;
  daemon::TaskStatus status_;
  std::chrono::steady_clock::time_point alive_ = std::chrono::steady_clock::now();
};

std::string metrics_text(const daemon::TaskStatus& status);
std::string status_json(const daemon::TaskStatus& status);

}  // namespace tocsin::app
