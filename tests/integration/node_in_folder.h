#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "engine/base/text.h"
#include "tests/integration/payload_tool.h"

namespace hc {

// A node in a folder with version 1.0 in slot a, a repository with signed versions beside it, and the real programs.
class NodeInFolder : public PayloadTool {
 protected:
  NodeInFolder() {
    hc({"keygen", "release"});
    build("1.0", 1);
  }
  ~NodeInFolder() override {
    for (auto it = mounts_.rbegin(); it != mounts_.rend(); ++it) run({"umount", "-l", it->string()});
    run({"chattr", "-R", "-f", "-i", dir_.string()});
  }

  void init() {
    ASSERT_EQ(sandbox({"init", "node", "--repo", "repo", "--version", "1.0", "--trust", "release.pub"}).status, 0);
  }
  void init_with_remote(const std::string& place = "repo") {
    init();
    ASSERT_EQ(os({"remote", "add", "origin", place}).status, 0);
  }

  CommandResult sandbox(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), HC_SANDBOX_PROGRAM);
    return run(std::move(arguments));
  }
  CommandResult os(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {HC_OS_PROGRAM, "--sysroot", "node"});
    return run(std::move(arguments));
  }
  Json os_json(std::vector<std::string> arguments, int status = 0) const {
    arguments.emplace_back("--json");
    const CommandResult result = os(std::move(arguments));
    EXPECT_EQ(result.status, status) << result.output << result.errors;
    const auto json = parse_json(result.output);
    if (json) return *json;
    ADD_FAILURE() << json.error().text() << "\n" << result.output;
    return {};
  }

  // The tree of one version; the test may change it before build().
  fs::path tree(const std::string& version) {
    const fs::path root = "tree-" + version;
    if (fs::exists(dir_ / root)) return root;
    const fs::path modules = root / "usr/lib/modules/6.1.0-test";
    put(root / "usr/lib/os-release", "ID=test\nPRETTY_NAME=\"Test OS\"\nVERSION_ID=" + version + "\n");
    put(modules / "vmlinuz", "kernel " + version);
    put(modules / "initramfs.img", "initramfs " + version);
    put(root / "usr/share/version", version + "\n");
    put(root / "etc/app.conf", "shipped with " + version + "\n");
    put(root / "etc/other.conf", "the same in all\n");
    for (int i = 0; i < 20; ++i) put(root / ("usr/share/file" + std::to_string(i)), "file " + std::to_string(i));
    put(root / "usr/lib/honeycomb/kargs.d/10-default.conf", "quiet default=" + version + "\n");
    return root;
  }
  void hook(const std::string& version, const std::string& name, const std::string& body) {
    put(tree(version) / "usr/lib/honeycomb/upgrade" / name, "#!/bin/sh\n" + body + "\n", 0755);
  }
  std::string build(const std::string& version, int sequence, std::vector<std::string> more = {}) {
    const fs::path root = tree(version);
    std::vector<std::string> arguments = {"build",     root.string(), "--target",   "os",
                                          "--version", version,       "--sequence", std::to_string(sequence),
                                          "--repo",    "repo"};
    if (std::find(more.begin(), more.end(), "--key") == more.end()) more.insert(more.end(), {"--key", "release.key"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return hc_json(arguments).value("commit", "");
  }

  fs::path node() const { return dir_ / "node"; }
  std::string in_slot(char slot, const fs::path& file) const {
    return read_file(node() / "ostree/slots" / std::string(1, slot) / file).value();
  }
  std::string running_version() const {
    const Json status = os_json({"status"});
    for (const Json& slot : status["targets"][0]["slots"])
      if (slot["running"] == true && slot["confirmed"] == true) return slot["version"];
    return "none";
  }
  // What a failed deploy must leave as it was.
  std::string picture() const {
    Json status = os_json({"status"});
    status["node"].erase("boot_id");
    status.erase("last_transaction");
    std::string text =
        status.dump() + run({"sh", "-c",
                             "cd node && md5sum boot/grub/grubenv $(find boot/honeycomb -type f | sort); readlink "
                             "ostree/slots/a ostree/slots/b; ls ostree/slots ostree/deploy/honeycomb/deploy"})
                            .output;
    return text;
  }
  void mount_small_ext4(const fs::path& where, int megabytes, const std::vector<std::string>& options = {}) {
    const std::string image = (dir_ / ("disk" + std::to_string(mounts_.size()))).string();
    ASSERT_EQ(run({"truncate", "-s", std::to_string(megabytes) + "M", image}).status, 0);
    std::vector<std::string> make = {"mkfs.ext4", "-q", "-F"};
    make.insert(make.end(), options.begin(), options.end());
    make.push_back(image);
    ASSERT_EQ(run(make).status, 0);
    ASSERT_TRUE(make_dirs(dir_ / where));
    ASSERT_EQ(run({"mount", "-o", "loop", image, where.string()}).status, 0);
    mounts_.push_back(dir_ / where);
    run({"rmdir", (dir_ / where / "lost+found").string()});
  }
  static std::string error_of(const Json& answer) {
    if (answer.contains("error")) return answer["error"].value("text", "");
    return answer.contains("failure") && answer["failure"].is_object() ? answer["failure"].value("text", "") : "";
  }

  std::vector<fs::path> mounts_;
};

}  // namespace hc
