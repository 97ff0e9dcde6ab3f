// Opening objects: names, definitions, limits and what run_graph refuses.
#include "graph/test_graph.hpp"

namespace yoke::graph {
namespace {

class BuildTest : public testing::Test {
   protected:
    BuildTest() { add_test_functions(device_); }

    static void expect(const Status& status, int code, const std::string& words) {
        ASSERT_FALSE(status) << words;
        EXPECT_EQ(status.error().code, code) << status.error().message;
        EXPECT_NE(status.error().message.find(words), std::string::npos) << status.error().message;
    }
    template <typename T>
    static void expect(const Result<T>& result, int code, const std::string& words) {
        expect(result ? Status{} : Status(tl::unexpected(result.error())), code, words);
    }

    device::HostDevice device_;
    TestRuntime runtime_{device_};
};

TEST_F(BuildTest, OpensOrCreates) {
    EXPECT_TRUE(runtime_->open_graph(1, "/g")->created);
    EXPECT_FALSE(runtime_->open_graph(2, "/g")->created);
    const control::PortDefinition port{"/g/p:in", control::Direction::in, {"i32", {4, 1, 1}, 0}};
    EXPECT_TRUE(runtime_->open_port(1, port)->created);
    EXPECT_FALSE(runtime_->open_port(1, port)->created);
    ASSERT_TRUE(runtime_->open_port(1, {"/g/p:out", control::Direction::out, {"i32", {4, 1, 1}, 0}}));
    control::PtaskDefinition ptask{
        "/g/p", {"", "", "add", "", {}, {}}, {{"/g/p:in", {}}, {"out", {}}, {std::nullopt, {1, 0, 0, 0}}}};
    EXPECT_TRUE(runtime_->open_ptask(1, ptask)->created);
    ptask.arguments[1].port = "/g/p:out";  // the same port by its full name
    const auto again = runtime_->open_ptask(1, ptask);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_FALSE(again->created);
    const control::ChannelDefinition channel{"/g/c", std::nullopt, "/g/p:in", 0};
    const auto created = runtime_->open_channel(1, channel);
    ASSERT_TRUE(created && created->created);
    EXPECT_NE(created->channel, 0U);
    auto opened = runtime_->open_channel(2, {"/g/c", std::nullopt, "/g/p:in", 8});  // 8 is what 0 means
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_FALSE(opened->created);
    EXPECT_EQ(opened->channel, created->channel);
}

TEST_F(BuildTest, NamesWhatDiffers) {
    ASSERT_TRUE(runtime_->open_graph(1, "/g"));
    runtime_.must(runtime_.open_ptask("/g/p", "add", 4, {"in", "=out"}, {1}));
    ASSERT_TRUE(runtime_.open_channel("/g/c", std::nullopt, "/g/p:in"));
    expect(runtime_->open_port(1, {"/g/p:in", control::Direction::out, {"i32", {4, 1, 1}, 0}}), EEXIST, "direction");
    expect(runtime_->open_port(1, {"/g/p:in", control::Direction::in, {"f32", {4, 1, 1}, 0}}), EEXIST, "template");
    expect(runtime_->open_port(1, {"/g/p:in", control::Direction::in, {"i32", {5, 1, 1}, 0}}), EEXIST, "template");
    expect(runtime_.open_ptask("/g/p", "sum", 4, {"in", "=out"}, {1}), EEXIST, "function");
    expect(runtime_.open_ptask("/g/p", "add", 4, {"in", "=out"}, {2}), EEXIST, "argument 3");
    expect(runtime_.open_ptask("/g/p", "add", 4, {"in", "=out"}), EEXIST, "number of arguments");
    expect(runtime_.open_channel("/g/c", std::nullopt, "/g/p:in", 9), EEXIST, "capacity");
    expect(runtime_.open_channel("/g/c", "/g/p:out", std::nullopt), EEXIST, "source");
    expect(runtime_.open_channel("/g/p", std::nullopt, "/g/p:in"), EEXIST, "ptask");
    expect(runtime_.open_ptask("/g/c", "add", 4, {"in", "=out"}, {1}), EEXIST, "channel");
}

TEST_F(BuildTest, MaliciousNamesAndTemplates) {
    for (const std::string& name : {std::string(), std::string("g"), std::string("/"), std::string("/g/p"),
                                    std::string("/g g"), std::string("//"), std::string("/g/"),
                                    "/" + std::string(100'000, 'a'), std::string("/\0", 2), std::string("/..")}) {
        expect(runtime_->open_graph(1, name), EINVAL, "");
    }
    ASSERT_TRUE(runtime_->open_graph(1, "/g"));
    expect(runtime_->open_port(1, {"/g/p", control::Direction::in, {"i32", {4, 1, 1}, 0}}), EINVAL, "");
    expect(runtime_->open_port(1, {"/h/p:in", control::Direction::in, {"i32", {4, 1, 1}, 0}}), ENOENT, "/h");
    expect(runtime_->open_port(1, {"/g/p:in", control::Direction::in, {"i33", {4, 1, 1}, 0}}), EINVAL, "i33");
    expect(runtime_->open_port(1, {"/g/p:in", control::Direction::in, {"i32", {0, 1, 1}, 0}}), EINVAL, "/g/p:in");
    expect(runtime_->open_port(1, {"/g/p:in", control::Direction::in, {"i32", {1U << 20U, 1U << 20U, 1}, 0}}), EMSGSIZE,
           "/g/p:in");
    expect(
        runtime_->open_port(1, {"/g/p:in", control::Direction::in, {"i32", {UINT64_MAX, UINT64_MAX, UINT64_MAX}, 0}}),
        EMSGSIZE, "");
    expect(runtime_->open_port(1, {"/g/p:in", control::Direction::in, {"i32", {4, 1, 1}, 3}}), EINVAL, "");
    expect(runtime_.open_channel("/g/c", "/g/p:in", "nonsense"), ENOENT, "/g/p:in");
}

// What a kernel says of the pointers "i" and "o", what ports are given for them, and what is said to that.
struct Given {
    device::Parameter in;
    device::Parameter out;
    control::TemplateDefinition in_form;
    control::TemplateDefinition out_form;
    std::vector<std::string> refusal;  // parts of the sentence; none: it is taken
};

TEST_F(BuildTest, ComparesElementsOfPortsAndArguments) {
    using device::Parameter;
    const auto pointer = [](const char* element, bool read_only) {
        return Parameter{Parameter::Kind::buffer, 0, read_only ? "i" : "o", "T*", element, read_only};
    };
    const std::array<std::uint64_t, 3> four{4, 1, 1};
    const control::TemplateDefinition f32{"f32", four, 0};
    const control::TemplateDefinition bytes{"u8", {96, 1, 1}, 0};
    const std::vector<Given> all{
        {pointer("f32", true), pointer("f32", false), {"u16", four, 0}, f32, {"/p:in", "u16", "(T* i)", "f32"}},
        {pointer("f32", true), pointer("f32", false), f32, {"i32", four, 0}, {"/p:out", "i32", "(T* o)", "f32"}},
        {pointer("i32", true), pointer("f32", false), {"u32", four, 0}, f32, {"/p:in", "u32", "i32"}},
        {pointer("f16", true), pointer("f32", false), {"i16", four, 0}, f32, {"/p:in", "i16", "f16"}},
        {pointer("f32", true), pointer("f32", true), f32, f32, {"/p:out", "const", "kernel f"}},
        {pointer("f32x4", true), pointer("f32", false), {"f32", {5, 1, 1}, 0}, f32, {"/p:in", "20 bytes", "16 bytes"}},
        {pointer("f32x3", true), pointer("f32", false), {"f32x3", four, 0}, f32, {"/p:in", "f32x3", "vload3"}},
        {{Parameter::Kind::constant, 4, "i", "float"}, pointer("f32", false), f32, f32, {"/p:in", "(float i)"}},
        {{Parameter::Kind::other, 0, "i", "float*"}, pointer("f32", false), f32, f32, {"/p", "neither"}},
        // How many numbers make an element is the kernel's to choose, and bytes are for everything.
        {pointer("f32x4", true), pointer("f32", false), {"f32", {4, 3, 1}, 0}, {"f32x3", four, 0}, {}},
        {pointer("f32", true), pointer("f32x4", false), {"f32x4", four, 0}, {"f32", {4, 7, 1}, 0}, {}},
        {pointer("f32x3", true), pointer("f64x8", false), {"f32x4", four, 0}, {"u8", {128, 1, 1}, 0}, {}},
        {pointer("u8", true), pointer("i8", false), {"f64", four, 0}, {"i16", four, 0}, {}},
        {pointer("", true), pointer("", false), {"f64x2", four, 0}, bytes, {}},
        {pointer("f32", false), {}, f32, f32, {}}};
    for (std::size_t k = 0; k < all.size(); ++k) {
        const std::string graph = fmt::format("/g{}", k);
        const std::string function = fmt::format("f{}", k);
        device_.add(function, {all[k].in, all[k].out}, [](const auto&, const auto&) { return 0; });
        ASSERT_TRUE(runtime_->open_graph(1, graph));
        ASSERT_TRUE(runtime_->open_port(1, {graph + "/p:in", control::Direction::in, all[k].in_form}));
        ASSERT_TRUE(runtime_->open_port(1, {graph + "/p:out", control::Direction::out, all[k].out_form}));
        const auto opened =
            runtime_->open_ptask(1, {graph + "/p", {"", "", function, "", {1, 1, 1}, {}}, {{"in", {}}, {"out", {}}}});
        ASSERT_EQ(opened.has_value(), all[k].refusal.empty()) << k << ": " << (opened ? "" : opened.error().message);
        for (const std::string& part : all[k].refusal) {
            EXPECT_EQ(opened.error().code, EINVAL);
            EXPECT_NE(opened.error().message.find(part), std::string::npos) << part << ": " << opened.error().message;
        }
    }
}

TEST_F(BuildTest, ChecksArguments) {
    ASSERT_TRUE(runtime_->open_graph(1, "/g"));
    expect(runtime_.open_ptask("/g/a", "nothing", 4, {"in", "=out"}, {1}), EINVAL, "nothing");
    expect(runtime_.open_ptask("/g/b", "add", 4, {"in", "=out"}), EINVAL, "takes 3 arguments");
    expect(runtime_.open_ptask("/g/c", "add", 4, {"in", "=out", "=third"}), EINVAL, "argument 3 (int n)");
    expect(runtime_.open_ptask("/g/d", "sum", 4, {"in", "=out"}, {1}), EINVAL, "buffer");
    expect(runtime_.open_ptask("/g/e", "add", 4, {"in"}, {1}), EINVAL, "output");
    expect(runtime_.open_ptask("/g/f", "add", 4, {"=out"}, {1}), EINVAL, "input");
    expect(runtime_.open_ptask("/g/g", "sum", 4, {"in", "in", "=out"}), EINVAL, "twice");
    ASSERT_TRUE(runtime_.open_port("/g/h:in", false, 4));
    ASSERT_TRUE(runtime_.open_port("/g/h:out", true, 4));
    const std::vector<std::uint8_t> eight(8);
    const std::vector<std::uint8_t> many(65);
    expect(runtime_->open_ptask(
               1, {"/g/h", {"", "", "add", "", {}, {}}, {{"in", {}}, {"out", {}}, {std::nullopt, eight}}}),
           EINVAL, "takes 4 bytes, but ptask /g/h gives 8");
    expect(
        runtime_->open_ptask(1, {"/g/h", {"", "", "add", "", {}, {}}, {{"in", {}}, {"out", {}}, {std::nullopt, many}}}),
        EINVAL, "65 bytes");
    expect(runtime_->open_ptask(
               1, {"/g/h", {"", "", "add", "", {}, {}}, {{"no", {}}, {"out", {}}, {std::nullopt, eight}}}),
           ENOENT, "/g/h:no");
    expect(runtime_->open_ptask(1, {"/g/i", {"", "", "add", "", {}, {}}, {{"/g/h:in", {}}, {"/g/h:out", {}}}}), EINVAL,
           "not of ptask /g/i");
    expect(runtime_->open_ptask(1, {"/g/h", {"", "", "sum", "", {}, {}}, {{"out", {}}}}), EINVAL, "input");
}

TEST_F(BuildTest, ChecksChannels) {
    ASSERT_TRUE(runtime_->open_graph(1, "/g"));
    runtime_.must(runtime_.open_ptask("/g/p", "add", 4, {"in", "=out"}, {1}));
    runtime_.must(runtime_.open_ptask("/g/q", "add", 5, {"in", "=out"}, {1}));
    expect(runtime_.open_channel("/g/c", std::nullopt, std::nullopt), EINVAL, "both ends outside");
    expect(runtime_.open_channel("/g/c", "/g/p:in", std::nullopt), EINVAL, "in port");
    expect(runtime_.open_channel("/g/c", std::nullopt, "/g/p:out"), EINVAL, "out port");
    expect(runtime_.open_channel("/g/c", "/g/p:no", std::nullopt), ENOENT, "/g/p:no");
    expect(runtime_.open_channel("/g/c", "/g/p:out", "/g/q:in"), EINVAL, "templates");
    expect(runtime_.open_channel("/g/c", std::nullopt, "/g/p:in", 5000), EINVAL, "4096");
    ASSERT_TRUE(runtime_.open_channel("/g/c", std::nullopt, "/g/p:in"));
    expect(runtime_.open_channel("/g/d", std::nullopt, "/g/p:in"), EBUSY, "/g/c");
}

TEST_F(BuildTest, RunRefusesWhatIsIncomplete) {
    expect(runtime_->run_graph(1, "/g"), ENOENT, "/g");
    ASSERT_TRUE(runtime_->open_graph(1, "/g"));
    expect(runtime_->run_graph(1, "/g"), EINVAL, "no ptask");
    runtime_.must(runtime_.open_ptask("/g/p", "add", 4, {"in", "=out"}, {1}));
    expect(runtime_->run_graph(1, "/g"), EINVAL, "/g/p:in");
    ASSERT_TRUE(runtime_.open_channel("/g/in", std::nullopt, "/g/p:in"));
    expect(runtime_->run_graph(1, "/g"), EINVAL, "/g/p:out");
    ASSERT_TRUE(runtime_.open_channel("/g/out", "/g/p:out", std::nullopt));
    ASSERT_TRUE(runtime_.open_port("/g/lonely:in", false, 4));
    expect(runtime_->run_graph(1, "/g"), EINVAL, "/g/lonely");
}

TEST_F(BuildTest, RunRefusesCycles) {
    ASSERT_TRUE(runtime_->open_graph(1, "/g"));
    runtime_.must(runtime_.open_ptask("/g/p", "sum", 4, {"a", "b", "=out"}));
    runtime_.must(runtime_.open_ptask("/g/q", "split", 4, {"in", "=a", "=b"}));
    ASSERT_TRUE(runtime_.open_channel("/g/in", std::nullopt, "/g/p:a"));
    ASSERT_TRUE(runtime_.open_channel("/g/forth", "/g/p:out", "/g/q:in"));
    ASSERT_TRUE(runtime_.open_channel("/g/back", "/g/q:a", "/g/p:b"));
    ASSERT_TRUE(runtime_.open_channel("/g/out", "/g/q:b", std::nullopt));
    expect(runtime_->run_graph(1, "/g"), EINVAL, "circle");
}

TEST_F(BuildTest, ARunningGraphIsNotChanged) {
    runtime_.open_chain("/g", 2, 4);
    EXPECT_TRUE(runtime_->run_graph(1, "/g")) << "it runs already";
    expect(runtime_.open_port("/g/r:in", false, 4), EBUSY, "running");
    expect(runtime_.open_channel("/g/x", "/g/p0:out", std::nullopt), EBUSY, "running");
    EXPECT_TRUE(runtime_->open_graph(1, "/g"));
    EXPECT_TRUE(runtime_->terminate_graph(1, "/g"));
    expect(runtime_->terminate_graph(1, "/g"), ENOENT, "/g");
}

TEST_F(BuildTest, KeepsLimits) {
    Limits limits;
    limits.graphs = 3;
    limits.objects_per_graph = 4;
    limits.device_bytes = 1000;
    TestRuntime runtime(device_, limits);
    for (const char* name : {"/a", "/b", "/c"}) {
        ASSERT_TRUE(runtime->open_graph(1, name));
    }
    expect(runtime->open_graph(1, "/d"), ENOBUFS, "3 graphs");
    ASSERT_TRUE(runtime->open_graph(1, "/a"));
    runtime.must(runtime.open_ptask("/a/p", "add", 4, {"in", "=out"}, {1}));
    ASSERT_TRUE(runtime.open_channel("/a/in", std::nullopt, "/a/p:in", 2));
    expect(runtime.open_channel("/a/out", "/a/p:out", std::nullopt, 2), ENOBUFS, "4 objects");
    runtime.must(runtime.open_ptask("/b/p", "add", 50, {"in", "=out"}, {1}));
    ASSERT_TRUE(runtime.open_channel("/b/in", std::nullopt, "/b/p:in", 3));  // (3 + 1) * 200 bytes, and 48 of /a
    runtime.must(runtime.open_ptask("/c/p", "add", 50, {"in", "=out"}, {1}));
    expect(runtime.open_channel("/c/in", std::nullopt, "/c/p:in", 1), ENOMEM, "device memory");
    ASSERT_TRUE(runtime->terminate_graph(1, "/b"));
    EXPECT_TRUE(runtime.open_channel("/c/in", std::nullopt, "/c/p:in", 1)) << "what /b had is free again";
}

TEST_F(BuildTest, KeepsTheLimitOfObjectsOfAllGraphs) {
    Limits limits;
    limits.objects = 5;
    TestRuntime runtime(device_, limits);
    for (const char* name : {"/a", "/b"}) {
        ASSERT_TRUE(runtime->open_graph(1, name));
    }
    runtime.must(runtime.open_ptask("/a/p", "add", 4, {"in", "=out"}, {1}));
    ASSERT_TRUE(runtime.open_channel("/b/x", std::nullopt, "/b/q:in", 2).error().code == ENOENT);
    ASSERT_TRUE(runtime.open_channel("/a/in", std::nullopt, "/a/p:in", 2));
    ASSERT_TRUE(runtime.open_channel("/a/out", "/a/p:out", std::nullopt, 2));
    expect(runtime->open_port(1, {"/b/q:in", control::Direction::in, {"u8", {1, 1, 1}, 0}}), ENOBUFS, "5 objects");
    ASSERT_TRUE(runtime->terminate_graph(1, "/a"));
    EXPECT_TRUE(runtime->open_port(1, {"/b/q:in", control::Direction::in, {"u8", {1, 1, 1}, 0}}))
        << "what /a had is free again";
}

TEST_F(BuildTest, TakesGeometryFromTheFirstInput) {
    device::Geometry seen;
    device_.add("look", {{}, {}, {}}, [&](std::span<const device::HostArgument>, const device::Geometry& geometry) {
        seen = geometry;
        return 0;
    });
    ASSERT_TRUE(runtime_->open_graph(1, "/g"));
    const control::TemplateDefinition small{"u8", {7, 5, 3}, 0};
    const control::TemplateDefinition large{"u8", {64, 1, 1}, 0};
    ASSERT_TRUE(runtime_->open_port(1, {"/g/p:a", control::Direction::out, large}));
    ASSERT_TRUE(runtime_->open_port(1, {"/g/p:b", control::Direction::in, small}));
    ASSERT_TRUE(runtime_->open_port(1, {"/g/p:c", control::Direction::in, large}));
    ASSERT_TRUE(runtime_->open_ptask(1, {"/g/p", {"", "", "look", "", {}, {}}, {{"a", {}}, {"b", {}}, {"c", {}}}}));
    EXPECT_EQ(runtime_.find("ptasks", "/g/p")["geometry"], (control::Json{7, 5, 3}));
}

TEST_F(BuildTest, TakesGeometryFromTheLargestInputOrDimensionByDimension) {
    device::Geometry seen;
    device_.add("look", {{}, {}, {}}, [&](std::span<const device::HostArgument>, const device::Geometry& geometry) {
        seen = geometry;
        return 0;
    });
    using Rules = std::array<std::string, 3>;
    using Extent = std::array<std::size_t, 3>;
    const std::vector<std::pair<Rules, Extent>> all{{{"largest-input", "largest-input", "largest-input"}, {2, 5, 3}},
                                                    {{"first-input", "first-output", "largest-input"}, {7, 4, 3}},
                                                    {{"/g/p:large", "first-input", "first-output"}, {2, 1, 2}}};
    for (const auto& [rules, extent] : all) {
        SCOPED_TRACE(rules[0]);
        ASSERT_TRUE(runtime_->open_graph(1, "/g"));
        ASSERT_TRUE(runtime_->open_port(1, {"/g/p:small", control::Direction::in, {"i32", {7, 1, 1}, 0}}));
        ASSERT_TRUE(runtime_->open_port(1, {"/g/p:large", control::Direction::in, {"i32", {2, 5, 3}, 0}}));
        ASSERT_TRUE(runtime_->open_port(1, {"/g/p:out", control::Direction::out, {"i32", {64, 4, 2}, 0}}));
        control::PtaskDefinition ptask{
            "/g/p", {"", "", "look", "", {}, {}}, {{"small", {}}, {"large", {}}, {"out", {}}}};
        ptask.kernel.geometry_from = rules;
        ASSERT_TRUE(runtime_->open_ptask(1, ptask));
        const auto small = runtime_.open_channel("/g/small", std::nullopt, "/g/p:small");
        const auto large = runtime_.open_channel("/g/large", std::nullopt, "/g/p:large");
        const auto out = runtime_.open_channel("/g/out", "/g/p:out", std::nullopt);
        ASSERT_TRUE(small && large && out);
        ASSERT_TRUE(runtime_->run_graph(1, "/g"));
        runtime_.push(*small, Values(7, 0));
        runtime_.push(*large, Values(30, 0));
        ASSERT_EQ(runtime_.pull(*out, 512)->wait().status, 0);
        EXPECT_EQ(seen.global, extent);
        ASSERT_TRUE(runtime_->terminate_graph(1, "/g"));
    }
}

}  // namespace
}  // namespace yoke::graph
