// Bytes on disk: little-endian fixed and varint (LEB128) integers, length-prefixed text. ByteReader never reads past
// its end: after the first bad byte it is `failed()` for good and returns zeros, so that a decoder checks once, at its
// end. Keys of the store use big-endian (put_ordered…) so that byte order is numeric order.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace tocsin {

static_assert(std::endian::native == std::endian::little, "the formats on disk are written for little-endian machines");

class ByteWriter {
 public:
  explicit ByteWriter(std::string& out) : out_(out) {}

  void put_u8(std::uint8_t v) { out_.push_back(static_cast<char>(v)); }
  void put_u32(std::uint32_t v) { put_raw(&v, sizeof v); }
  void put_u64(std::uint64_t v) { put_raw(&v, sizeof v); }
  void put_i64(std::int64_t v) { put_raw(&v, sizeof v); }
  void put_varint(std::uint64_t v) {
    char bytes[10];
    std::size_t size = 0;
    for (; v >= 0x80U; v >>= 7U) bytes[size++] = static_cast<char>(v | 0x80U);
    bytes[size++] = static_cast<char>(v);
    out_.append(bytes, size);
  }
  /// Small magnitudes of either sign in few bytes (zigzag).
  void put_signed(std::int64_t v) {
    put_varint((static_cast<std::uint64_t>(v) << 1U) ^ static_cast<std::uint64_t>(v >> 63));
  }
  void put_bytes(std::string_view bytes) {
    put_varint(bytes.size());
    out_.append(bytes);
  }
  void put_raw(const void* data, std::size_t size) { out_.append(static_cast<const char*>(data), size); }
  /// Big-endian: byte order is numeric order.
  void put_ordered_u64(std::uint64_t v) {
    for (int shift = 56; shift >= 0; shift -= 8) put_u8(static_cast<std::uint8_t>(v >> shift));
  }
  void put_ordered_u32(std::uint32_t v) {
    for (int shift = 24; shift >= 0; shift -= 8) put_u8(static_cast<std::uint8_t>(v >> shift));
  }
  /// Big-endian with the sign flipped: negative before positive.
  void put_ordered_i64(std::int64_t v) { put_ordered_u64(static_cast<std::uint64_t>(v) ^ (1ULL << 63U)); }

 private:
  std::string& out_;
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

  std::uint8_t get_u8() {
    if (at_ >= bytes_.size()) return fail();
    return static_cast<std::uint8_t>(bytes_[at_++]);
  }
  std::uint32_t get_u32() { return get_fixed<std::uint32_t>(); }
  std::uint64_t get_u64() { return get_fixed<std::uint64_t>(); }
  std::int64_t get_i64() { return get_fixed<std::int64_t>(); }
  std::uint64_t get_varint() {
    std::uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const std::uint8_t byte = get_u8();
      if (failed_) return 0;
      if (shift == 63 && byte > 1) return fail();
      v |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
      if ((byte & 0x80U) == 0) return v;
    }
    return fail();
  }
  std::int64_t get_signed() {
    const std::uint64_t v = get_varint();
    return static_cast<std::int64_t>(v >> 1U) ^ -static_cast<std::int64_t>(v & 1U);
  }
  std::string_view get_bytes() { return get_raw(get_varint()); }
  std::string_view get_raw(std::uint64_t size) {
    if (size > bytes_.size() - at_) {
      fail();
      return {};
    }
    const std::string_view taken = bytes_.substr(at_, size);
    at_ += size;
    return taken;
  }
  std::uint64_t get_ordered_u64() {
    std::uint64_t v = 0;
    for (int i = 0; i < 8; ++i) v = (v << 8U) | get_u8();
    return v;
  }
  std::uint32_t get_ordered_u32() {
    std::uint32_t v = 0;
    for (int i = 0; i < 4; ++i) v = (v << 8U) | get_u8();
    return v;
  }
  std::int64_t get_ordered_i64() { return static_cast<std::int64_t>(get_ordered_u64() ^ (1ULL << 63U)); }

  [[nodiscard]] bool failed() const { return failed_; }
  /// What was read is not what it should be.
  void refuse() { fail(); }
  [[nodiscard]] bool at_end() const { return at_ == bytes_.size(); }
  [[nodiscard]] std::size_t remaining() const { return bytes_.size() - at_; }

 private:
  template <typename T>
  T get_fixed() {
    T v = 0;
    if (sizeof v > bytes_.size() - at_) return fail();
    std::memcpy(&v, bytes_.data() + at_, sizeof v);
    at_ += sizeof v;
    return v;
  }
  std::uint8_t fail() {
    failed_ = true;
    at_ = bytes_.size();
    return 0;
  }

  std::string_view bytes_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

}  // namespace tocsin
