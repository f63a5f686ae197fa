#include "base/coding.h"

#include <string>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/result.h"

using namespace tocsin;

TEST_CASE("what is written is read back") {
  CHECK(rc::check("all forms", [](std::uint64_t a, std::int64_t b, std::uint32_t c, const std::string& text) {
    std::string bytes;
    ByteWriter out(bytes);
    out.put_varint(a);
    out.put_signed(b);
    out.put_u32(c);
    out.put_i64(b);
    out.put_bytes(text);
    out.put_ordered_u64(a);
    out.put_ordered_u32(c);
    out.put_ordered_i64(b);
    ByteReader in(bytes);
    RC_ASSERT(in.get_varint() == a);
    RC_ASSERT(in.get_signed() == b);
    RC_ASSERT(in.get_u32() == c);
    RC_ASSERT(in.get_i64() == b);
    RC_ASSERT(in.get_bytes() == text);
    RC_ASSERT(in.get_ordered_u64() == a);
    RC_ASSERT(in.get_ordered_u32() == c);
    RC_ASSERT(in.get_ordered_i64() == b);
    RC_ASSERT(in.at_end());
    RC_ASSERT(!in.failed());
    (void)in.get_u8();
    RC_ASSERT(in.failed());
  }));
  CHECK(rc::check("byte order is numeric order", [](std::int64_t a, std::int64_t b) {
    std::string x;
    std::string y;
    ByteWriter(x).put_ordered_i64(a);
    ByteWriter(y).put_ordered_i64(b);
    RC_ASSERT((a < b) == (x < y));
  }));
  CHECK(rc::check("any bytes are read or refused, never past their end", [](const std::string& bytes) {
    ByteReader in(bytes);
    for (int i = 0; i < 20; ++i) {
      (void)in.get_varint();
      (void)in.get_bytes();
      (void)in.get_u32();
    }
    RC_ASSERT(in.failed());
  }));
}

TEST_CASE("an arena hands out memory that stays until it is cleared") {
  Arena arena;
  const std::string_view kept = arena.copy("kept");
  for (int i = 0; i < 1000; ++i) (void)arena.allocate(static_cast<std::size_t>(i) * 7);
  CHECK(arena.allocate(200'000) != nullptr);
  CHECK(kept == "kept");
  CHECK(arena.array<std::uint64_t>(3)[2] == 0);
  CHECK(arena.copy("").empty());
  arena.clear();
  CHECK(arena.copy("again") == "again");
}

TEST_CASE("hashes are those of XXH3 and never change") {
  CHECK(hash64("") == 0x2d06800538d394c2ULL);
  CHECK(to_text(hash128("")) == "99aa06d3014798d86001c324468d497f");
  CHECK(hash64("a", 1) != hash64("a", 2));
}

TEST_CASE("a failure carries what was being done") {
  const Result<int> failed = Error{ErrorKind::not_found, "no such file"};
  CHECK(!failed.ok());
  CHECK(failed.error().while_doing("opening x").text == "opening x: no such file");
  CHECK(Status().ok());
}
