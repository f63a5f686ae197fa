// Bytes of a file from front to back, decompressed when its name ends in .zst or .gz. Several compressed frames one
// behind the other read as one; a frame that ends in its middle is an error and not the end. "-" is the standard input,
// as it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"

namespace tocsin::event {

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  /// At most `size` bytes into `to`; 0 is the end.
  virtual Result<std::size_t> read(char* to, std::size_t size) = 0;
  /// Skips to byte `offset` of what read() gives. Only forward and only right after opening.
  virtual Status skip_to(std::uint64_t offset) = 0;
  /// Bytes taken from the file, as compressed as they are there.
  [[nodiscard]] virtual std::uint64_t consumed() const = 0;
};

Result<std::unique_ptr<ByteStream>> open_bytes(const std::string& path);

}  // namespace tocsin::event
