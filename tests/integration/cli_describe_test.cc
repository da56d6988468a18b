#include "tests/integration/node_in_folder.h"

// The manual page and the completions, which the program makes of its own description.
namespace hc {
namespace {

using ::testing::HasSubstr;

class Descriptions : public PayloadTool {
 protected:
  std::string said(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), HC_OS_PROGRAM);
    const CommandResult result = run(std::move(arguments));
    EXPECT_EQ(result.status, 0) << result.errors;
    return result.output;
  }
};

TEST_F(Descriptions, TheManualHasEveryVerbAndOption) {
  const std::string manual = said({"--man"});
  for (const char* text :
       {".SS deploy", ".SS jobs", ".SS remote add", "\\-\\-detach", "\\-\\-sysroot", "130 interrupted"})
    EXPECT_THAT(manual, HasSubstr(text));
  put("hc-os.8", manual);
  const CommandResult set = run({"groff", "-man", "-Tutf8", "-ww", "hc-os.8"});
  EXPECT_EQ(set.status, 0);
  EXPECT_EQ(set.errors, "");
}

TEST_F(Descriptions, BashCompletes) {
  put("completion", said({"--completion", "bash"}));
  const auto completed = [&](const std::string& words) {
    return run({"bash", "-c",
                "source ./completion; COMP_WORDS=(" + words +
                    "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _hc_os; echo \"${COMPREPLY[*]}\""})
        .output;
  };
  EXPECT_EQ(completed("hc-os dep"), "deploy\n");
  EXPECT_EQ(completed("hc-os --json deploy --pl"), "--plan\n");
  EXPECT_EQ(completed("hc-os remote re"), "remove\n");
}

TEST_F(Descriptions, ZshAndFishReadTheirs) {
  put("zsh", said({"--completion", "zsh"}));
  put("fish", said({"--completion", "fish"}));
  EXPECT_EQ(run({"zsh", "-n", "zsh"}).status, 0);
  EXPECT_EQ(run({"fish", "--no-execute", "fish"}).status, 0);
  EXPECT_THAT(run({"fish", "-c", "source ./fish; complete -C 'hc-os dep'"}).output, HasSubstr("deploy"));
}

TEST_F(Descriptions, HcPayloadHasThemToo) {
  const std::string manual = hc({"--man"}).output;
  for (const char* text : {".SS build", ".SS publish", ".SS bundle", "\\-\\-sequence"})
    EXPECT_THAT(manual, HasSubstr(text));
  put("hc-payload.1", manual);
  const CommandResult set = run({"groff", "-man", "-Tutf8", "-ww", "hc-payload.1"});
  EXPECT_EQ(set.status, 0);
  EXPECT_EQ(set.errors, "");
  put("fish", hc({"--completion", "fish"}).output);
  EXPECT_THAT(run({"fish", "-c", "source ./fish; complete -C 'hc-payload pub'"}).output, HasSubstr("publish"));
}

}  // namespace
}  // namespace hc
