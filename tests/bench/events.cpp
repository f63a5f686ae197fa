#include "tests/bench/events.h"

#include <array>

#include "event/decode.h"

namespace tocsin::bench {

namespace {

constexpr std::array<std::string_view, 16> countries = {"au", "be", "br", "ch", "cn", "de", "dk", "es",
                                                        "fr", "gb", "hu", "jp", "nl", "pl", "se", "us"};
// Ten of about equal length, one event in ten each: the steps of the sequences ask for them.
constexpr std::array<std::string_view, 10> channels = {"web",  "app", "pos",   "atm",   "phone",
                                                       "mail", "api", "kiosk", "agent", "branch"};
constexpr std::array<std::string_view, 4> results = {"approved", "declined", "reviewed", "reversed"};

constexpr std::uint64_t milliseconds_apart = 4;

// A prime, so that its multiples visit every user once before they come back to the first.
constexpr std::uint64_t scattering = 2654435761;

void put_digits(std::string& out, std::uint64_t value, std::size_t width) {
  char digits[20];
  for (std::size_t i = width; i-- > 0; value /= 10) digits[i] = static_cast<char>('0' + value % 10);
  out.append(digits, width);
}

void put_number(std::string& out, std::uint64_t value) {
  std::size_t width = 1;
  for (std::uint64_t rest = value; rest >= 10; rest /= 10) ++width;
  put_digits(out, value, width);
}

}  // namespace

std::string_view event_declarations() {
  return R"(entity user, device
event payment {
  key  id : string
  time at : time
  user     : user
  device   : device
  ip       : ip
  merchant : string
  country  : enum(au, be, br, ch, cn, de, dk, es, fr, gb, hu, jp, nl, pl, se, us)
  channel  : enum(web, app, pos, atm, phone, mail, api, kiosk, agent, branch)
  result   : enum(approved, declined, reviewed, reversed)
  amount   : money<USD>
  risk     : int
  age : int
}
)";
}

Events::Events(std::uint32_t users, Turn turn) : users_(users), turn_(turn) {}

// SplitMix64.
std::uint64_t Events::random() {
  std::uint64_t x = state_ += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31U);
}

void Events::write(std::string& out) {
  const std::uint64_t a = random();
  const std::uint64_t b = random();
  const bool next = turn_ == Turn::in_turn || made_ < users_;
  const std::uint64_t user = next ? made_ % users_ * scattering % users_ : (a >> 8U) % users_;
  out += R"({"type":"payment","id":"pay-)";
  put_digits(out, made_, 12);
  out += R"(","at":"2026-01-)";
  const std::uint64_t milliseconds = made_ * milliseconds_apart;
  const std::uint64_t seconds = milliseconds / 1000;
  put_digits(out, 5 + seconds / 86400, 2);
  out += 'T';
  put_digits(out, seconds / 3600 % 24, 2);
  out += ':';
  put_digits(out, seconds / 60 % 60, 2);
  out += ':';
  put_digits(out, seconds % 60, 2);
  out += '.';
  put_digits(out, milliseconds % 1000, 3);
  out += R"(Z","user":"user-)";
  put_digits(out, user, 7);
  out += R"(","device":"device-)";
  put_digits(out, (a >> 24U) % 200'000, 6);
  out += R"(","ip":"10.)";
  put_number(out, b & 255U);
  out += '.';
  put_number(out, b >> 8U & 255U);
  out += '.';
  put_number(out, b >> 16U & 255U);
  out += R"(","merchant":"merchant-)";
  put_digits(out, (b >> 24U) % 20'000, 5);
  out += R"(","country":")";
  out += countries[a >> 60U];
  out += R"(","channel":")";
  out += channels[(a >> 48U & 0xfffU) % channels.size()];
  out += R"(","result":")";
  out += results[b >> 62U];
  out += R"(","amount":)";
  put_number(out, (b >> 48U & 0xfffU) % 3000);
  out += '.';
  put_digits(out, (b >> 40U & 0xffU) % 100, 2);
  out += R"(,"risk":)";
  put_number(out, (b >> 32U & 0xffffU) % 1000);
  out += R"(,"age":)";
  put_number(out, (a >> 32U & 0xffffU) % 3650);
  out += '}';
  ++made_;
}

std::span<const std::string_view> Events::next(std::size_t count) {
  buffer_.clear();
  ends_.clear();
  for (std::size_t i = 0; i < count; ++i) {
    write(buffer_);
    ends_.push_back(buffer_.size());
    buffer_ += '\n';
  }
  buffer_.append(event::padding_bytes, ' ');
  lines_.clear();
  std::size_t begin = 0;
  for (const std::size_t end : ends_) {
    lines_.push_back(std::string_view(buffer_).substr(begin, end - begin));
    begin = end + 1;
  }
  return lines_;
}

}  // namespace tocsin::bench
