#include "state/slab.h"

#include "base/coding.h"
#include "base/hash.h"

namespace tocsin::state {
namespace {
constexpr std::uint8_t slab_version = 1;
}

std::string encode_slab(std::span<const Section> sections, Timestamp last_seen) {
  std::string out;
  std::size_t size = 32;
  for (const Section& section : sections) size += section.bytes.size() + 14;
  out.reserve(size);
  ByteWriter writer(out);
  writer.put_u8(slab_version);
  writer.put_i64(last_seen.us);
  writer.put_varint(sections.size());
  for (const Section& section : sections) {
    writer.put_u64(section.fingerprint);
    writer.put_bytes(section.bytes);
  }
  writer.put_u64(hash64(out));
  return out;
}

Result<Slab> decode_slab(std::string_view bytes) {
  const auto corrupt = [](const char* what) {
    return Error{ErrorKind::corrupt, std::string("the state of a key does not read back: ") + what};
  };
  if (bytes.size() < 8) return corrupt("it is cut off");
  const std::string_view body = bytes.substr(0, bytes.size() - 8);
  if (ByteReader(bytes.substr(body.size())).get_u64() != hash64(body)) return corrupt("its checksum is wrong");
  ByteReader reader(body);
  if (reader.get_u8() != slab_version) return corrupt("it is of a format this version does not know");
  Slab slab;
  slab.last_seen.us = reader.get_i64();
  const std::uint64_t count = reader.get_varint();
  if (count > reader.remaining() / 9) return corrupt("more sections are announced than there are bytes");
  slab.sections.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t fingerprint = reader.get_u64();
    slab.sections.push_back({fingerprint, std::string(reader.get_bytes())});
  }
  if (reader.failed()) return corrupt("it is cut off");
  if (!reader.at_end()) return corrupt("something stands behind the last section");
  return slab;
}

}  // namespace tocsin::state
