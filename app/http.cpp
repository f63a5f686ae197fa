#include "app/http.h"

#include <httplib.h>
#include <sys/socket.h>

#include <atomic>
#include <cstdlib>
#include <thread>

namespace tocsin::app {

namespace {
// A loop that has not come round for so long hangs: a turn takes milliseconds, a large checkpoint seconds, and waiting
// for a broker counts as coming round.
constexpr std::chrono::seconds stuck_after{120};
constexpr int ok = 200;
constexpr int unavailable = 503;
constexpr std::size_t body_bytes_max = 64U << 10U;  // nobody has anything to tell us
constexpr std::size_t threads = 4;
}  // namespace

struct HttpPages::Server {
  httplib::Server http;
  std::atomic<bool> ended{false};
  std::thread thread;
};

HttpPages::HttpPages(std::unique_ptr<Server> server) : server_(std::move(server)) {}

HttpPages::~HttpPages() {
  server_->http.stop();
  if (server_->thread.joinable()) server_->thread.join();
}

Result<std::unique_ptr<HttpPages>> HttpPages::listen(const std::string& address, const Board& board) {
  auto server = std::make_unique<Server>();
  httplib::Server& http = server->http;
  http.new_task_queue = [] { return new httplib::ThreadPool(threads); };  // the library takes ownership
  http.set_payload_max_length(body_bytes_max);
  // One server per port: cpp-httplib would share it with another process by default.
  // A port left a moment ago can be taken again, though.
  http.set_socket_options([](socket_t socket) {
    const int on = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  });
  http.Get("/livez", [&board](const httplib::Request&, httplib::Response& response) {
    const bool alive = board.since_alive() < stuck_after;
    response.status = alive ? ok : unavailable;
    response.set_content(alive ? "ok\n" : "the event loop has not moved for two minutes\n", "text/plain");
  });
  http.Get("/readyz", [&board](const httplib::Request&, httplib::Response& response) {
    const daemon::TaskStatus status = board.status();
    const bool ready = status.ready && status.trouble.empty();
    response.status = ready ? ok : unavailable;
    response.set_content(ready                    ? "ok\n"
                         : status.trouble.empty() ? "restoring state, or the source was not read yet\n"
                                                  : status.trouble + "\n",
                         "text/plain");
  });
  http.Get("/metrics", [&board](const httplib::Request&, httplib::Response& response) {
    response.set_content(metrics_text(board.status()), "text/plain; version=0.0.4; charset=utf-8");
  });
  http.Get("/status", [&board](const httplib::Request&, httplib::Response& response) {
    response.set_content(status_json(board.status()), "application/json");
  });
  const std::size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  const int port = static_cast<int>(std::strtol(address.c_str() + colon + 1, nullptr, 10));
  if (!http.bind_to_port(host.c_str(), port)) {
    return Error{ErrorKind::refused, "cannot listen on " + address +
                                         " (http.listen): the port is taken or the address is not of this machine; "
                                         "choose another, or write `http: off`"};
  }
  server->thread = std::thread([&listening = *server] {
    listening.http.listen_after_bind();
    listening.ended.store(true);
  });
  // stop() before the server runs would be forgotten, and the end of the process would wait for ever.
  while (!http.is_running() && !server->ended.load()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return std::unique_ptr<HttpPages>(new HttpPages(std::move(server)));
}

}  // namespace tocsin::app
