#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace hc {

// Finds the old file that a new one was most likely made from: the one at the same path, else one whose path is the
// same but for the numbers in it (a kernel module of the previous kernel, a library of another version), else one of
// the same name but for the numbers anywhere. Among several, the one nearest in size.
class SimilarFiles {
 public:
  struct File {
    std::string checksum;
    std::uint64_t size = 0;
  };

  void add(const std::string& path, File file);
  // Nothing where no file is similar.
  const File* find(const std::string& path, std::uint64_t size) const;

 private:
  std::map<std::string, File> by_path_;
  std::map<std::string, std::vector<File>> by_pattern_;
  std::map<std::string, std::vector<File>> by_name_;
};

}  // namespace hc
