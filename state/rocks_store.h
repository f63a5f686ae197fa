// The store on disk: RocksDB 7.8 or newer, one directory per task. The directory holds
//   STORE    magic, format and who created it, as text; read before RocksDB is let near the directory
//   db/      RocksDB: one column family, write-ahead log on
//   ingest/  files of a large commit on their way into db/
// docs/state_format.md tells what is in it and why. Reopening after kill -9 gives the last commit that returned, or one
// that was about to, and never a part of one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "state/store.h"

namespace tocsin::state {

struct RocksOptions {
  /// A commit above this goes in as sorted files instead of through log and memtable: 866 MB/s against some 80 MB/s
  /// measured, and no memtable of its size.
  std::uint64_t ingest_above_bytes = 64ULL << 20U;
  /// One sorted file of such a commit.
  std::uint64_t ingest_file_bytes = 64ULL << 20U;
  std::uint64_t memtable_bytes = 64ULL << 20U;  // two of them at most
  std::uint64_t cache_bytes = 64ULL << 20U;
  std::string created_by = "tocsin";  // written once, into a new store
};

/// Opens the store of a task, or makes a new one in a directory that is absent or empty. Refuses with a text that says
/// what to do: a directory of something else, a store of a newer format, a damaged one, one that another process has
/// open, a directory that cannot be written.
Result<std::unique_ptr<Store>> open_rocks_store(const std::string& directory, const RocksOptions& options = {});

}  // namespace tocsin::state
