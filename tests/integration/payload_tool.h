#pragma once

#include <gmock/gmock.h>
#include <stdlib.h>

#include <map>
#include <string>
#include <vector>

#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/process.h"

// Runs the real hc-payload on real trees and repositories in a directory that is gone at the end.
namespace hc {

class PayloadTool : public ::testing::Test {
 protected:
  PayloadTool() {
    std::string pattern = fs::temp_directory_path() / "hc-payload-test-XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
  }
  ~PayloadTool() override { static_cast<void>(remove_tree(dir_)); }

  CommandResult run(std::vector<std::string> argv) const {
    CommandOptions options;
    options.directory = dir_;
    options.environment = environment_;
    auto result = run_command(argv, options);
    if (result) return *result;
    ADD_FAILURE() << argv.front() << ": " << result.error().text();
    return {-1, "", ""};
  }
  CommandResult hc(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), HC_PAYLOAD_PROGRAM);
    return run(std::move(arguments));
  }
  // The JSON document on standard output.
  Json hc_json(std::vector<std::string> arguments, int status = 0) const {
    arguments.emplace_back("--json");
    const CommandResult result = hc(std::move(arguments));
    EXPECT_EQ(result.status, status) << result.output << result.errors;
    const auto json = parse_json(result.output);
    if (json) return *json;
    ADD_FAILURE() << json.error().text() << "\n" << result.output << result.errors;
    return {};
  }
  std::string ostree(std::vector<std::string> arguments, int status = 0) const {
    arguments.insert(arguments.begin(), {"ostree", "--repo=repo"});
    const CommandResult result = run(std::move(arguments));
    EXPECT_EQ(result.status, status) << result.errors;
    return result.output;
  }
  std::string refs() const { return fs::exists(dir_ / "repo") ? ostree({"refs"}) : ""; }

  void put(const fs::path& name, std::string_view content, unsigned mode = 0644) const {
    ASSERT_TRUE(make_dirs((dir_ / name).parent_path()));
    ASSERT_TRUE(write_atomically(dir_ / name, content, mode));
  }

  // A plain root tree as small as one can be.
  void make_os_tree(const std::string& name, const std::string& motd = "hello\n") const {
    put(name + "/usr/lib/os-release", "ID=debian\nPRETTY_NAME=\"Node\"\n");
    put(name + "/usr/lib/modules/6.1.0-9/vmlinuz", "a kernel");
    put(name + "/usr/lib/modules/6.1.0-9/initramfs.img", "an initramfs");
    put(name + "/usr/bin/tool", "#!/bin/sh\n", 0755);
    put(name + "/etc/motd", motd);
    put(name + "/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    put(name + "/root/.profile", "# root's\n");
    put(name + "/var/lib/thing/state", "state");
    for (const char* directory : {"dev", "proc", "home", "opt", "usr/local/bin", "tmp"})
      ASSERT_TRUE(make_dirs(dir_ / name / directory));
    fs::create_symlink("usr/bin", dir_ / name / "bin");
    fs::create_symlink("../usr/lib/os-release", dir_ / name / "etc/os-release");
  }

  static constexpr const char* kHook = "#!/bin/sh\nexit 0\n";
  static std::string metadata(const std::string& version = "1.2.0", const std::string& more = "") {
    return "{\n  \"peripheral_name\": \"PTZ Camera\",\n  \"config_version\": \"" + version +
           "\",\n  \"retry_state_check\": 0,\n  \"retry_install\": 2,\n  \"retry_verify\": 0" + more + "\n}\n";
  }
  void make_peripheral_tree(const std::string& name, const std::string& version = "1.2.0") const {
    put(name + "/metadata.json", metadata(version));
    for (const char* hook : {"hc_state_check.sh", "hc_install_upgrade.sh", "hc_verify_upgrade.sh"})
      put(name + "/" + hook, kHook, 0755);
    put(name + "/data/zoom.conf", "zoom=4\n");
  }

  void make_key(const std::string& name, const std::string& targets = "*") const {
    ASSERT_EQ(hc({"keygen", name, "--targets", targets}).status, 0);
  }

  std::vector<std::string> os_arguments(const std::string& tree, const std::string& version,
                                        const std::string& sequence) const {
    return {"build",  tree,     "--target", "os",    "--version",   version,       "--sequence",
            sequence, "--repo", "repo",     "--key", "release.key", "--timestamp", "1700000000"};
  }
  Json build_os(const std::string& tree, const std::string& version, const std::string& sequence,
                int status = 0) const {
    return hc_json(os_arguments(tree, version, sequence), status);
  }
  Json build_peripheral(const std::string& tree, const std::string& sequence, int status = 0) const {
    return hc_json(
        {"build", tree, "--sequence", sequence, "--repo", "repo", "--key", "release.key", "--timestamp", "1700000000"},
        status);
  }

  fs::path dir_;
  std::map<std::string, std::string> environment_;
};

}  // namespace hc
