#include "image-tools/payload_delta.h"

#include <fcntl.h>
#include <unistd.h>

#include <deque>
#include <future>
#include <set>
#include <thread>

#include "engine/base/text.h"
#include "engine/delta/make.h"
#include "engine/delta/similar.h"
#include "engine/payload/signature.h"
#include "engine/store/object_list.h"

// delta and bundle.
namespace hc {
namespace {

using Listed = ListedObject;

// A file that is not there under its name before it is whole and on the disk.
class NewFile {
 public:
  static Result<NewFile> create(const fs::path& path) {
    NewFile file(path);
    file.fd_ = UniqueFd(::open(file.part_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!file.fd_) return Error::from_errno(errno, "making " + file.part_.string());
    return file;
  }
  NewFile(NewFile&&) = default;
  NewFile& operator=(NewFile&&) = delete;
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile() {
    if (fd_) ::unlink(part_.c_str());
  }

  Status write(std::string_view bytes) {
    size_ += bytes.size();
    return write_all(fd_.get(), bytes, "writing " + part_.string());
  }
  Status append(const NewFile& other) {
    std::string piece(1 << 20, '\0');
    for (std::uint64_t at = 0; at < other.size_;) {
      const ssize_t got = ::pread(other.fd_.get(), piece.data(), piece.size(), static_cast<off_t>(at));
      if (got <= 0) return Error::from_errno(got < 0 ? errno : EIO, "reading " + other.part_.string());
      HC_TRY(write({piece.data(), static_cast<std::size_t>(got)}));
      at += static_cast<std::uint64_t>(got);
    }
    return ok;
  }
  Status finish() {
    if (::fsync(fd_.get()) != 0) return Error::from_errno(errno, "writing " + part_.string());
    if (::rename(part_.c_str(), path_.c_str()) != 0) return Error::from_errno(errno, "naming " + path_.string());
    fd_ = UniqueFd();
    return sync_dir(path_.has_parent_path() ? path_.parent_path() : fs::path("."));
  }
  std::uint64_t size() const { return size_; }

 private:
  explicit NewFile(const fs::path& path) : path_(path), part_(path.string() + ".part") {}
  fs::path path_;
  fs::path part_;
  UniqueFd fd_;
  std::uint64_t size_ = 0;
};

class Writer {
 public:
  Writer(const Repository& repository, const Work& work) : repository_(repository), work_(work) {}

  // Writes the data to `out`, and fills in `head`.
  Status run(const std::optional<Commit>& from, const Commit& to, DeltaHead& head, NewFile& out) {
    const CommitObject object = HC_TRY(repository_.commit_object(to));
    head.from = from;
    head.commit = object.bytes;
    head.detached = object.detached;
    HC_TRY(list(from, to));
    std::string dictionary = HC_TRY(dictionary_of(head, commits()));
    DeltaMaker maker(std::move(dictionary), [&out](std::string_view bytes) { return out.write(bytes); });
    for (const Listed& one : metadata_) {
      const std::string bytes = HC_TRY(metadata_object(repository_, one));
      const bool directory = one.kind == Listed::Kind::directory;
      HC_TRY(maker.metadata(directory ? ObjectKind::directory : ObjectKind::attributes, one.checksum, bytes));
    }
    HC_TRY(write_files(maker));
    head.blocks = HC_TRY(maker.finish());
    return ok;
  }

  CommitBytes commits() const {
    return [this](const Commit& commit) -> Result<std::string> {
      const CommitObject object = HC_TRY(repository_.commit_object(commit));
      return object.bytes;
    };
  }
  std::size_t objects() const { return metadata_.size() + files_.size(); }

 private:
  Status list(const std::optional<Commit>& from, const Commit& to) {
    std::set<std::pair<Listed::Kind, std::string>> old;
    if (from) {
      for (const Listed& one : HC_TRY(list_objects(repository_, *from, work_.stop))) {
        old.emplace(one.kind, one.checksum);
        if (one.kind != Listed::Kind::file) continue;
        const LoadedFile file = HC_TRY(load_file(repository_, one.checksum, false));
        if (!file.link) old_.add(one.path, {one.checksum, file.size});
      }
    }
    for (Listed& one : HC_TRY(list_objects(repository_, to, work_.stop))) {
      if (old.contains({one.kind, one.checksum})) continue;
      (one.kind == Listed::Kind::file ? files_ : metadata_).push_back(std::move(one));
    }
    return ok;
  }

  struct Planned {
    Listed listed;
    LoadedFile file;
    std::future<Result<FilePlan>> plan;
  };

  // Finding differences takes most of the time: several files at once, and written in their order.
  Status write_files(DeltaMaker& maker) {
    const std::size_t ahead = std::max(1U, std::thread::hardware_concurrency()) + 1;
    std::deque<Planned> planned;
    std::size_t next = 0;
    for (std::size_t done = 0; done < files_.size(); ++done) {
      if (work_.stop.requested()) return Error(Code::cancelled, "stopped on request; nothing was written");
      if (work_.progress) work_.progress({"comparing files", done, files_.size(), false});
      while (next < files_.size() && planned.size() < ahead) planned.push_back(HC_TRY(plan(files_[next++])));
      Planned one = std::move(planned.front());
      planned.pop_front();
      if (one.file.link) {
        HC_TRY(maker.link(one.listed.checksum, one.file.attributes, *one.file.link));
        continue;
      }
      const FilePlan how = HC_TRY(one.plan.get());
      HC_TRY(maker.file(one.listed.checksum, one.file.attributes, how));
    }
    return ok;
  }

  Result<Planned> plan(const Listed& listed) {
    Planned one;
    one.listed = listed;
    one.file = HC_TRY(load_file(repository_, listed.checksum));
    if (one.file.link) return one;
    std::string base;
    std::string old;
    if (const SimilarFiles::File* similar = old_.find(listed.path, one.file.content.size())) {
      base = similar->checksum;
      old = HC_TRY(load_file(repository_, base)).content;
    }
    one.plan = std::async(std::launch::async, [content = std::move(one.file.content), base = std::move(base),
                                               old = std::move(old)]() mutable {
      return plan_file(std::move(content), std::move(base), std::move(old));
    });
    return one;
  }

  const Repository& repository_;
  const Work& work_;
  std::vector<Listed> metadata_;
  std::vector<Listed> files_;
  SimilarFiles old_;
};

Status must_be_signed(const Repository& repository, const Commit& commit) {
  const CommitObject object = HC_TRY(repository.commit_object(commit));
  const std::vector<std::string> signatures = HC_TRY(read_signatures(object.detached));
  if (!signatures.empty()) return ok;
  return Error(Code::untrusted, "commit " + commit.brief() + " is not signed: no node would take it")
      .with_hint("`hc-payload sign` it first");
}

Status must_be_complete(const Repository& repository, const Commit& commit) {
  if (HC_TRY(repository.is_complete(commit))) return ok;
  return Error(Code::invalid, "commit " + commit.brief() + " is not complete in this repository");
}

// From where to where, checked.
struct Way {
  std::optional<Commit> from;
  Commit to;
};
Result<Way> way(const Repository& repository, const std::string& from, const std::string& to) {
  Way way{std::nullopt, HC_TRY(resolve(repository, to))};
  HC_TRY(must_be_signed(repository, way.to));
  HC_TRY(must_be_complete(repository, way.to));
  if (from.empty()) return way;
  way.from = HC_TRY(resolve(repository, from));
  HC_TRY(must_be_complete(repository, *way.from));
  if (way.from == way.to) return Error(Code::invalid, quote(from) + " and " + quote(to) + " are the same commit");
  return way;
}

Report report_of(const Way& way, const fs::path& file, std::uint64_t bytes, std::size_t objects) {
  Report report;
  report.json = {{"from", way.from ? Json(way.from->hex()) : Json(nullptr)},
                 {"to", way.to.hex()},
                 {"file", file.string()},
                 {"bytes", bytes},
                 {"objects", objects}};
  report.text = file.string() + ": " + human_bytes(bytes) + " for " + std::to_string(objects) + " objects of commit " +
                way.to.brief() + (way.from ? ", from " + way.from->brief() : ", complete in itself") + "\n";
  return report;
}

}  // namespace

fs::path delta_folder(const fs::path& repo, const Commit& to) { return repo / "honeycomb/deltas" / to.hex(); }

bool has_delta(const fs::path& repo, const Commit& from, const Commit& to) {
  std::error_code error;
  return fs::exists(delta_folder(repo, to) / (from.hex() + ".hch"), error);
}

Result<Report> delta(const DeltaArgs& args, const Work& work) {
  const Repository repository = HC_TRY(Repository::open(args.repo));
  const Way way = HC_TRY(hc::way(repository, args.from, args.to));
  const fs::path folder = delta_folder(args.repo, way.to);
  HC_TRY(make_dirs(folder));
  const fs::path name = folder / way.from->hex();
  NewFile data = HC_TRY(NewFile::create(name.string() + ".hcd"));
  DeltaHead head;
  Writer writer(repository, work);
  HC_TRY(writer.run(way.from, way.to, head, data));
  const std::string bytes = HC_TRY(write_head(head, way.to, writer.commits()));
  const std::uint64_t size = data.size() + bytes.size();
  // Whoever sees the head finds the data.
  HC_TRY(data.finish());
  HC_TRY(write_atomically(name.string() + ".hch", bytes));
  return report_of(way, name.string() + ".hcd", size, writer.objects());
}

Result<Report> bundle(const BundleArgs& args, const Work& work) {
  if (args.out.extension() != ".hcb")
    return Error(Code::invalid, "the name of a bundle ends in .hcb, unlike " + quote(args.out.string()));
  const Repository repository = HC_TRY(Repository::open(args.repo));
  const Way way = HC_TRY(hc::way(repository, args.from, args.what));
  NewFile data = HC_TRY(NewFile::create(args.out.string() + ".data"));
  DeltaHead head;
  Writer writer(repository, work);
  HC_TRY(writer.run(way.from, way.to, head, data));
  const std::string bytes = HC_TRY(write_head(head, way.to, writer.commits()));
  NewFile out = HC_TRY(NewFile::create(args.out));
  HC_TRY(out.write(bytes));
  HC_TRY(out.append(data));
  HC_TRY(out.finish());
  return report_of(way, args.out, out.size(), writer.objects());
}

}  // namespace hc
