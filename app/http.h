// /livez, /readyz, /metrics and /status over HTTP, read-only. A thread of its own that looks at the board and at
// nothing else.
#pragma once

#include <memory>
#include <string>

#include "app/metrics.h"
#include "base/result.h"

namespace tocsin::app {

class HttpPages {
 public:
  /// Listens at "address:port"; the board outlives this.
  static Result<std::unique_ptr<HttpPages>> listen(const std::string& address, const Board& board);
  ~HttpPages();
  HttpPages(const HttpPages&) = delete;
  HttpPages& operator=(const HttpPages&) = delete;

 private:
  struct Server;
  explicit HttpPages(std::unique_ptr<Server> server);
  std::unique_ptr<Server> server_;
};

}  // namespace tocsin::app
