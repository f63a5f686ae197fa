#include "state/rocks_store.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include "state/records.h"

namespace tocsin::state {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view magic = "tocsin store";
constexpr int store_format = 1;
constexpr std::string_view identity_name = "STORE";
constexpr std::string_view identity_name_new = "STORE.new";  // creation has begun and not ended

rocksdb::Slice slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view view(const rocksdb::Slice& bytes) { return {bytes.data(), bytes.size()}; }

std::string identity_text(const std::string& created_by) {
  return std::string(magic) + "\nformat " + std::to_string(store_format) + "\ncreated by " + created_by + "\n";
}

/// The state cannot be mended in place, and it can be made anew only as far back as the source keeps its events.
const char* corrupt_advice =
    "; put back a backup of the directory, or move it away and start anew, which begins without what was remembered";

Error error_of(const rocksdb::Status& status, const std::string& directory) {
  const std::string text = status.ToString();
  if (status.IsCorruption())
    return {ErrorKind::corrupt, "the store " + directory + " is damaged (" + text + ")" + corrupt_advice};
  if (status.IsNoSpace()) {
    return {ErrorKind::unavailable,
            "no space is left for the store " + directory + "; make room on its disk (" + text + ")"};
  }
  if (status.IsIOError()) {
    if (text.find("LOCK") != std::string::npos && text.find("lock") != std::string::npos) {
      return {ErrorKind::refused, "the store " + directory +
                                      " is open in another process; stop that one first, or give this one "
                                      "a directory of its own (" +
                                      text + ")"};
    }
    return {ErrorKind::unavailable,
            "the store " + directory + " cannot be read or written; check its disk and permissions (" + text + ")"};
  }
  if (status.IsNotSupported() || status.IsInvalidArgument()) {
    return {ErrorKind::refused, "the store " + directory + " cannot be opened by this version (" + text +
                                    "); use the version that wrote it"};
  }
  return {ErrorKind::unavailable, "the store " + directory + ": " + text};
}

rocksdb::Options options_of(const RocksOptions& ours) {
  rocksdb::Options options;
  // One column family with typed keys and the log on: 0 of 80 kills inconsistent. Several families, or no log, were not
  // safe on 7.8.3 (docs/state_format.md).
  options.recycle_log_file_num = 0;
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  options.manual_wal_flush = false;
  // More than two memtables, or eight background jobs and more, meet a wrong order after a failed flush (fixed in 7.9).
  options.write_buffer_size = ours.memtable_bytes;
  options.max_write_buffer_number = 2;
  options.max_background_jobs = 2;
  options.max_open_files = 512;  // many tasks share one process
  options.level_compaction_dynamic_level_bytes = true;
  options.compression = rocksdb::kLZ4Compression;
  options.bottommost_compression = rocksdb::kZSTD;
  options.paranoid_checks = true;
  options.avoid_unnecessary_blocking_io = true;
  options.memtable_protection_bytes_per_key = 8;
  options.keep_log_file_num = 4;
  options.max_log_file_size = 4U << 20U;
  // No prefix extractor: it may never change in a living store, and its modes had bugs with wrong results.
  rocksdb::BlockBasedTableOptions table;
  table.format_version = 5;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.optimize_filters_for_memory = true;
  table.block_cache = rocksdb::NewLRUCache(ours.cache_bytes, -1, false, 0.2);
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

class RocksCursor final : public Cursor {
 public:
  RocksCursor(std::unique_ptr<rocksdb::Iterator> at, std::string directory)
      : at_(std::move(at)), directory_(std::move(directory)) {}
  bool seek(std::string_view key) override {
    at_->Seek(slice(key));
    return at_->Valid();
  }
  bool next() override {
    at_->Next();
    return at_->Valid();
  }
  [[nodiscard]] std::string_view key() const override { return view(at_->key()); }
  [[nodiscard]] std::string_view value() const override { return view(at_->value()); }
  [[nodiscard]] Status status() const override {
    if (!at_->status().ok()) return error_of(at_->status(), directory_);
    return {};
  }

 private:
  std::unique_ptr<rocksdb::Iterator> at_;
  std::string directory_;
};

class RocksStore final : public Store {
 public:
  RocksStore(std::string directory, RocksOptions ours, rocksdb::Options options, std::unique_ptr<rocksdb::DB> db)
      : directory_(std::move(directory)), ours_(std::move(ours)), options_(std::move(options)), db_(std::move(db)) {}

  ~RocksStore() override {
    // Whatever goes wrong here is in no commit: all of those are in the log already.
    (void)db_->Close();
  }

  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) const override {
    std::string value;
    const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), slice(key), &value);
    if (status.IsNotFound()) return std::optional<std::string>();
    if (!status.ok()) return error_of(status, directory_);
    return std::optional<std::string>(std::move(value));
  }

  Status scan(std::string_view prefix,
              const std::function<bool(std::string_view key, std::string_view value)>& take) const override {
    rocksdb::ReadOptions read;
    read.total_order_seek = true;
    const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(read));
    for (at->Seek(slice(prefix)); at->Valid(); at->Next()) {
      if (!view(at->key()).starts_with(prefix)) break;
      if (!take(view(at->key()), view(at->value()))) break;
    }
    if (!at->status().ok()) return error_of(at->status(), directory_);
    return {};
  }

  [[nodiscard]] std::unique_ptr<Cursor> cursor() const override {
    // It reads much, once: that shall not drive out of the cache what others read.
    rocksdb::ReadOptions read;
    read.total_order_seek = true;
    read.fill_cache = false;
    return std::make_unique<RocksCursor>(std::unique_ptr<rocksdb::Iterator>(db_->NewIterator(read)), directory_);
  }

  Status erase_range(std::string_view begin, std::string_view end) override {
    const rocksdb::Status erased =
        db_->DeleteRange(rocksdb::WriteOptions(), db_->DefaultColumnFamily(), slice(begin), slice(end));
    if (!erased.ok()) return error_of(erased, directory_);
    return {};
  }

  Status commit(const WriteSet& changes) override {
    if (changes.empty()) return {};
    if (changes.bytes() > ours_.ingest_above_bytes) return ingest(changes);
    rocksdb::WriteBatch batch;
    for (const WriteSet::Write& write : changes.writes) {
      const rocksdb::Status added =
          write.value ? batch.Put(slice(write.key), slice(*write.value)) : batch.Delete(slice(write.key));
      if (!added.ok()) return error_of(added, directory_);
    }
    rocksdb::WriteOptions how;
    how.sync = changes.sync;
    const rocksdb::Status written = db_->Write(how, &batch);
    if (!written.ok()) return error_of(written, directory_);
    return {};
  }

 private:
  /// A large commit as sorted files. All of it, deletions and positions included, goes into the files and none of it
  /// through the log, so that there is one moment at which it becomes true: RocksDB takes all files of one call into
  /// the tree by one record of its manifest. Against what went through the log before:
  ///  - In the living process the files get a sequence number above all earlier writes (a memtable that holds one of the
  ///    keys is flushed first, which makes no more true than was so already), so reads see the newer value, and a deletion in
  ///    a file hides older ones.
  ///  - After kill -9 the log is replayed from the manifest's mark on. Earlier commits in it have lower sequence numbers than
  ///    the files and cannot cover them; later ones have higher ones.
  ///  - After a loss of power the manifest is synced and the log need not be: then this commit would stand without the ones
  ///    before it, whose keys it does not all hold. So the log is synced first.
  Status ingest(const WriteSet& changes) {
    std::vector<const WriteSet::Write*> sorted;
    sorted.reserve(changes.writes.size());
    for (const WriteSet::Write& write : changes.writes) sorted.push_back(&write);
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const WriteSet::Write* a, const WriteSet::Write* b) { return a->key < b->key; });
    const std::string folder = directory_ + "/ingest";
    std::error_code failed;
    fs::create_directories(folder, failed);
    std::vector<std::string> files;
    const rocksdb::Status written = write_files(sorted, folder, files);
    rocksdb::Status status = written;
    if (status.ok()) status = db_->SyncWAL();
    if (status.ok()) {
      rocksdb::IngestExternalFileOptions how;
      how.move_files = true;
      how.write_global_seqno = false;
      status = db_->IngestExternalFile(files, how);
    }
    for (const std::string& file : files) fs::remove(file, failed);
    if (!status.ok()) return error_of(status, directory_).while_doing("writing a large commit");
    return {};
  }

  rocksdb::Status write_files(const std::vector<const WriteSet::Write*>& sorted, const std::string& folder,
                              std::vector<std::string>& files) const {
    rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), options_);
    bool open = false;
    rocksdb::Status status;
    for (std::size_t i = 0; i < sorted.size() && status.ok(); ++i) {
      // Of several writes to one key the last counts.
      if (i + 1 < sorted.size() && sorted[i + 1]->key == sorted[i]->key) continue;
      if (!open) {
        files.push_back(folder + "/" + std::to_string(files.size()) + ".sst");
        status = writer.Open(files.back());
        open = status.ok();
      }
      const WriteSet::Write& write = *sorted[i];
      if (status.ok()) {
        status = write.value ? writer.Put(slice(write.key), slice(*write.value)) : writer.Delete(slice(write.key));
      }
      if (status.ok() && writer.FileSize() >= ours_.ingest_file_bytes) {
        status = writer.Finish();
        open = false;
      }
    }
    if (status.ok() && open) status = writer.Finish();
    return status;
  }

  std::string directory_;
  RocksOptions ours_;
  rocksdb::Options options_;
  std::unique_ptr<rocksdb::DB> db_;
};

/// Nothing, or why this directory's STORE is not one of ours that we can read.
Status check_identity(const std::string& text, const std::string& directory) {
  if (!text.starts_with(std::string(magic) + "\nformat ")) {
    return Error{ErrorKind::refused,
                 directory + " is not a store of tocsin (its file STORE does not say so); give another directory"};
  }
  const std::string number = text.substr(magic.size() + 8, text.find('\n', magic.size() + 1) - magic.size() - 8);
  const bool digits = !number.empty() && number.size() < 7 &&
                      std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || number == "0") {
    return Error{ErrorKind::corrupt,
                 "the store " + directory + " is damaged (its file STORE names no format)" + corrupt_advice};
  }
  if (std::stoi(number) > store_format) {
    return Error{ErrorKind::refused, "the store " + directory + " is of format " + number +
                                         ", and this version knows formats up to " + std::to_string(store_format) +
                                         "; start the newer version that wrote it"};
  }
  return {};
}

Error cannot_write(const std::string& directory, const std::error_code& why) {
  return {ErrorKind::refused, "cannot make the store " + directory + " (" + why.message() +
                                  "); create the directory and let this user write there, or give another one"};
}

Status write_text(const std::string& path, const std::string& text, const std::string& directory) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.flush();
  if (!out) return cannot_write(directory, std::error_code(errno, std::generic_category()));
  return {};
}

enum class Found { nothing, half_made, whole };

/// Looks at the directory without touching it.
Result<Found> look_at(const std::string& directory) {
  std::error_code failed;
  const fs::file_status status = fs::status(directory, failed);
  if (status.type() == fs::file_type::not_found) return Found::nothing;
  if (failed) return cannot_write(directory, failed);
  if (status.type() != fs::file_type::directory) {
    return Error{ErrorKind::refused,
                 directory + " is a file where the directory of a store should be; give another path"};
  }
  const fs::path root(directory);
  if (fs::exists(root / identity_name, failed)) {
    std::ifstream in(root / identity_name, std::ios::binary);
    std::string text(256, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (in.bad())
      return Error{ErrorKind::unavailable,
                   "cannot read " + (root / identity_name).string() + "; check its permissions"};
    text.resize(static_cast<std::size_t>(in.gcount()));
    if (Status known = check_identity(text, directory); !known) return known.error();
    if (!fs::exists(root / "db" / "CURRENT", failed)) {
      return Error{ErrorKind::corrupt,
                   "the store " + directory + " is damaged (db/CURRENT is not there)" + std::string(corrupt_advice)};
    }
    return Found::whole;
  }
  if (fs::exists(root / identity_name_new, failed)) return Found::half_made;
  if (fs::exists(root / "CURRENT", failed)) {
    return Error{ErrorKind::refused,
                 directory + " holds a RocksDB database that tocsin did not make; give another directory"};
  }
  const fs::directory_iterator entries(root, failed);
  if (failed) return cannot_write(directory, failed);
  if (entries != fs::directory_iterator()) {
    return Error{ErrorKind::refused, directory + " holds other files (" + entries->path().filename().string() +
                                         ") and is no store of tocsin; give an empty directory or a new one"};
  }
  return Found::nothing;
}

}  // namespace

Result<std::unique_ptr<Store>> open_rocks_store(const std::string& directory, const RocksOptions& ours) {
  const Result<Found> found = look_at(directory);
  if (!found) return found.error();
  const fs::path root(directory);
  const bool creating = found.value() != Found::whole;
  std::error_code failed;
  if (creating) {
    // STORE.new stands before the database and becomes STORE behind it: a kill in between is told from a store whose
    // database was lost, which must not silently begin anew.
    fs::create_directories(root, failed);
    if (failed) return cannot_write(directory, failed);
    const Status marked = write_text((root / identity_name_new).string(), identity_text(ours.created_by), directory);
    if (!marked) return marked.error();
  }

  rocksdb::Options options = options_of(ours);
  options.create_if_missing = creating;
  rocksdb::DB* opened = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(options, (root / "db").string(), &opened);
  if (!status.ok()) return error_of(status, directory);
  std::unique_ptr<rocksdb::DB> db(opened);
  // Behind the lock of the database: no other process can be writing these.
  fs::remove_all(root / "ingest", failed);
  auto store = std::make_unique<RocksStore>(directory, ours, options, std::move(db));

  // The same words inside: STORE and db/ belong together.
  const std::string identity = meta_record("store");
  const Result<std::optional<std::string>> inside = store->get(identity);
  if (!inside) return inside.error();
  if (inside.value()) {
    if (Status known = check_identity(*inside.value(), directory); !known) return known.error();
  } else if (creating) {
    WriteSet first;
    first.put(identity, identity_text(ours.created_by));
    first.sync = true;
    if (Status written = store->commit(first); !written) return written.error();
  } else {
    return Error{ErrorKind::corrupt, "the store " + directory + " is damaged (its database does not say whose it is)" +
                                         std::string(corrupt_advice)};
  }
  if (creating) {
    fs::rename(root / identity_name_new, root / identity_name, failed);
    if (failed) return cannot_write(directory, failed);
  }
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace tocsin::state
