#include "selection.hpp"

#include <algorithm>
#include <sstream>
#include <tuple>
#include <vector>

namespace edgebert {
namespace {

bool contains(const Json& architectures, const std::string& architecture) {
    return architectures.empty() ||
           std::find(architectures.begin(), architectures.end(), architecture) != architectures.end();
}

// A feature of `isa` that the machine lacks; empty when it has all.
std::string missing_feature(const Json& isa, const Machine& machine) {
    for (const Json& feature : isa)
        if (const auto name = feature.get<std::string>(); !machine.isa.count(name)) return name;
    return "";
}

bool matches(const Json& profile, const Machine& machine) {
    const Json& vendor = profile.at("vendor");
    const Json& memory = profile.at("memory_mb");
    // A size that is unknown is given the benefit of the doubt.
    const bool enough =
        memory.is_null() || !machine.memory || machine.memory >= memory.get<std::uint64_t>() * 1'000'000;
    return contains(profile.at("architectures"), machine.architecture) &&
           (vendor.is_null() || vendor == machine.vendor) && missing_feature(profile.at("isa"), machine).empty() &&
           enough;
}

// The numbers of a version, up to the first character that is neither a digit nor a dot.
std::vector<int> version(const std::string& text) {
    std::istringstream stream(text);
    std::vector<int> numbers;
    for (int number; stream >> number && (numbers.push_back(number), stream.peek() == '.');) stream.get();
    return numbers;
}

// Why an artifact cannot run here; empty when it can.
std::string obstacle(const Json& artifact, const Machine& machine, const std::string& openvino) {
    const Json& needs = artifact.at("requires");
    if (!contains(needs.at("architectures"), machine.architecture)) return "needs another architecture";
    if (const auto name = missing_feature(needs.at("isa"), machine); !name.empty()) return "needs a CPU with " + name;
    if (!needs.at("accelerator").is_null()) return "needs an accelerator";
    const Json& runtimes = needs.at("runtimes");
    if (!runtimes.contains("openvino")) return "needs another runtime than OpenVINO";
    const auto least = runtimes.at("openvino").get<std::string>();
    if (version(openvino) < version(least)) return "needs OpenVINO " + least + ", this is " + openvino;
    return "";
}

}  // namespace

std::pair<Json, int> best_artifact(const Json& manifest, const Machine& machine, const std::string& openvino) {
    std::vector<const Json*> profiles;
    for (const Json& profile : manifest.at("profiles"))
        if (matches(profile, machine)) profiles.push_back(&profile);
    const auto specificity = [](const Json* profile) {
        // There is no accelerator that this program can use: profiles that are for one come last.
        return std::tuple(profile->at("accelerator").is_null(), !profile->at("vendor").is_null(),
                          !profile->at("architectures").empty());
    };
    std::stable_sort(profiles.begin(), profiles.end(),
                     [&](const Json* a, const Json* b) { return specificity(a) > specificity(b); });

    std::vector<std::pair<std::string, int>> order;  // ids, each with the threads that its profile asks for
    for (const Json* profile : profiles)
        for (const Json& id : profile->at("order"))
            order.emplace_back(id.get<std::string>(),
                               profile->at("threads").is_null() ? 0 : profile->at("threads").get<int>());
    for (const Json& artifact : manifest.at("artifacts")) order.emplace_back(artifact.at("id").get<std::string>(), 0);

    std::string reasons;
    for (const auto& [id, threads] : order) {
        const auto& artifacts = manifest.at("artifacts");
        const auto artifact =
            std::find_if(artifacts.begin(), artifacts.end(), [&, &id = id](const Json& a) { return a.at("id") == id; });
        if (artifact == artifacts.end())
            throw Error("manifest.json: a profile names " + id + ", which is no artifact.");
        if (artifact->at("backend") != "openvino") continue;
        const std::string reason = obstacle(*artifact, machine, openvino);
        if (reason.empty()) return {*artifact, threads};
        const std::string said = id + " " + reason;
        if (reasons.find(said) == reasons.npos) reasons += (reasons.empty() ? "" : "; ") + said;
    }
    if (reasons.empty())
        throw Error(
            "The bundle has no artifact for OpenVINO. Convert the checkpoint for a target that has one, such as "
            "intel-cpu.");
    throw Error("No artifact for OpenVINO can run here: " + reasons + ".");
}

}  // namespace edgebert
