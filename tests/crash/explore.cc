#include <sys/resource.h>

#include <chrono>
#include <cstdio>

#include "engine/base/process.h"
#include "tests/crash/explorer.h"
#include "tests/crash/loop_device.h"

// honeycomb-explore FILE: records the operation that FILE describes, looks at every state in which a power cut might
// leave the disk, and prints what it found as JSON. Exit status: 0 no violation, 1 violations, 2 it could not be done.
namespace hc {

Result<Exploration> Exploration::parse(const Json& json) {
  Exploration one;
  one.image = json.at("image").get<std::string>();
  one.kind = json.at("kind");
  one.scratch = json.at("scratch").get<std::string>();
  one.file_system = json.value("file_system", one.file_system);
  one.options = json.value("options", "");
  one.sight_options = json.value("sight_options", "noload");
  for (const Json& step : json.at("steps")) one.steps.emplace_back(step.at("run"), step.value("mark", ""));
  one.resume = json.value("resume", one.resume);
  one.environment = json.value("environment", one.environment);
  one.states = json.value("states", one.states);
  one.resumes = json.value("resumes", one.resumes);
  one.second_cuts = json.value("second_cuts", one.second_cuts);
  one.seed = json.value("seed", one.seed);
  one.workers = json.value("workers", one.workers);
  one.after = json.value("after", "");
  one.keep = json.value("keep", "");
  return one;
}

void Findings::add(const Findings& other) {
  looked_at += other.looked_at;
  resumed += other.resumed;
  cut_twice += other.cut_twice;
  second_states += other.second_states;
  asked_grub += other.asked_grub;
  violating += other.violating;
  for (const auto& [kind, count] : other.kinds) kinds[kind] += count;
  faults.insert(faults.end(), other.faults.begin(), other.faults.end());
}

Json Findings::json() const {
  return {
      {"states", looked_at},      {"resumed", resumed},     {"cut_twice", cut_twice}, {"second_states", second_states},
      {"asked_grub", asked_grub}, {"violating", violating}, {"kinds", kinds},         {"faults", faults}};
}

Findings Findings::parse(const Json& json) {
  return {json.at("states"),     json.at("resumed"),   json.at("cut_twice"), json.at("second_states"),
          json.at("asked_grub"), json.at("violating"), json.at("kinds"),     json.at("faults")};
}

namespace {

Result<Picture> picture_of_image(const Exploration& exploration, std::string image) {
  Picture picture;
  const auto look = [&](const fs::path& root, const MarkFn& /*mark*/) -> Status {
    picture = picture_of(root);
    return ok;
  };
  HC_TRY(
      record_disk(std::move(image), exploration.file_system, exploration.options, exploration.scratch / "look", look));
  return picture;
}

Status run_steps(const Exploration& exploration, const fs::path& root, const MarkFn& mark) {
  CommandOptions options;
  options.environment = exploration.environment;
  options.environment["NODE"] = root;
  for (const auto& [command, told] : exploration.steps) {
    const CommandResult done = HC_TRY(run_command(command, options));
    if (done.status != 0)
      return Error(Code::io,
                   "the operation failed (" + std::to_string(done.status) + "): " + done.output + done.errors);
    if (!told.empty()) mark(told);
  }
  return ok;
}

Result<Expected> expected_of(const Exploration& exploration, const Recording& recording, const Json& json) {
  Expected expected;
  for (const auto& [commit, tree] : json.at("trees").items())
    expected.trees[commit] = picture_of(tree.get<std::string>());
  expected.goals = json.value("goals", expected.goals);
  const Picture before = HC_TRY(picture_of_image(exploration, recording.before));
  const Picture after = HC_TRY(picture_of_image(exploration, recording.after()));
  for (const Picture* disk : {&before, &after})
    for (const auto& [path, seen] : below(*disk, "ostree/repo/objects"))
      if (seen.type == 'f' || seen.type == 'l') expected.objects["ostree/repo/objects/" + path] = seen;
  for (const auto& [path, seen] : before) {
    const std::size_t etc = path.find("/etc/");
    if (path.starts_with("ostree/deploy/") && etc != std::string::npos && path.find("/usr/") == std::string::npos)
      expected.etc[path.substr(etc + 5)] = seen;
  }
  return expected;
}

Result<int> run(const fs::path& file) {
  const std::string text = HC_TRY(read_file(file));
  const Json json = HC_TRY(parse_json(text));
  const Exploration exploration = HC_TRY(Exploration::parse(json));
  HC_TRY(own_mounts());
  std::string image = HC_TRY(read_file(exploration.image, 2U << 30U));
  const Recording recording =
      HC_TRY(record_disk(std::move(image), exploration.file_system, exploration.options, exploration.scratch,
                         [&](const fs::path& root, const MarkFn& mark) { return run_steps(exploration, root, mark); }));
  if (!exploration.after.empty()) HC_TRY(write_atomically(exploration.after, recording.after()));
  const Expected expected = HC_TRY(expected_of(exploration, recording, json));
  const std::unique_ptr<NodeChecks> checks = exploration.kind == "ostree"
                                                 ? std::unique_ptr<NodeChecks>(new OstreeChecks(expected))
                                                 : std::unique_ptr<NodeChecks>(new HoneycombChecks(expected));
  const StatePlan plan = plan_states(recording, exploration.states, exploration.seed);
  const auto begun = std::chrono::steady_clock::now();
  const Findings found = HC_TRY(look_at_all(exploration, recording, *checks, plan));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  Json report = found.json();
  rusage used{};
  ::getrusage(RUSAGE_CHILDREN, &used);  // the operation and all resumes too
  report["cpu_seconds"] = static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec);
  report["epochs"] = plan.epochs;
  report["possible"] = plan.possible;
  report["seconds"] = took.count();
  report["states_per_second"] = static_cast<double>(found.looked_at + found.second_states) / took.count();
  std::size_t writes = 0;
  for (const DiskEvent& event : recording.events) writes += event.kind == DiskEvent::Kind::write ? 1 : 0;
  report["writes"] = writes;
  std::fputs(dump_json(report, 2).c_str(), stdout);
  return found.violating == 0 ? 0 : 1;
}

}  // namespace
}  // namespace hc

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: honeycomb-explore FILE\n", stderr);
    return 2;
  }
  const hc::Result<int> done = hc::run(argv[1]);
  if (done) return *done;
  std::fprintf(stderr, "honeycomb-explore: %s\n", done.error().text().c_str());
  return 2;
}
