#include "state/records.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

namespace tocsin::state {

TEST_CASE("keys of records read back as what they were built from") {
  CHECK(rc::check("there and back",
                  [](std::uint64_t a, std::uint64_t b, std::int64_t t, std::uint32_t p, const std::string& name) {
                    RC_ASSERT(parse_meta_record(meta_record(name)) == std::string_view(name));
                    RC_ASSERT(parse_id_seen_record(id_seen_record({a, b})) == Digest({a, b}));
                    RC_ASSERT(parse_slab_record(slab_record({a, name})) == SlabKey({a, name}));
                    RC_ASSERT(parse_log_record(log_record({a, b, name, 7})) == LogKey({a, b, name, 7}));
                    RC_ASSERT(log_record({a, b, name, 7}).starts_with(log_records_of(a, b, name)));
                    RC_ASSERT(parse_history_record(history_record({a, b})) == HistoryKey({a, b}));
                    RC_ASSERT(parse_alert_record(alert_record({a, name})) == AlertKey({a, name}));
                    RC_ASSERT(parse_order_record(order_record({{t}, {p, b}})) == OrderKey({{t}, {p, b}}));
                    RC_ASSERT(parse_fact_record(fact_record({a, name})) == FactKey({a, name}));
                    RC_ASSERT(!parse_slab_record(log_record({a, b, name, 7})).has_value());
                  }));
  CHECK(rc::check(
      "the order of bytes is the order of time", [](std::int64_t s, std::int64_t t, std::uint64_t a, std::uint64_t b) {
        RC_ASSERT((order_record({{s}, {1, a}}) < order_record({{t}, {1, b}})) == (s < t || (s == t && a < b)));
        RC_ASSERT((log_record({a, 0, "k", a}) < log_record({a, 0, "k", b})) == (a < b));
      }));
  CHECK(rc::check("noise", [](const std::string& noise) {
    (void)type_of_record(noise);
    (void)parse_log_record(noise);
    (void)parse_history_record(noise);
    (void)parse_order_record(noise);
  }));
  CHECK_FALSE(type_of_record("").has_value());
  CHECK_FALSE(type_of_record("\x7f").has_value());
}

}  // namespace tocsin::state
