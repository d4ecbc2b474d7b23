#include "bundle.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

#include "selection.hpp"
#include "sha256.hpp"

namespace edgebert {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kMaxManifest = 4u << 20;
constexpr const char* kManifest = "manifest.json";

// A path of a bundle: parts of a portable character set, none of them "." or "..", with "/" between.
bool is_portable(const std::string& path) {
    if (path.empty() || path.size() > 512 || path.back() == '/') return false;
    std::istringstream parts(path);
    for (std::string part; std::getline(parts, part, '/');) {
        const auto allowed = [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
                   c == '-';
        };
        if (part.empty() || part.back() == '.' || !std::all_of(part.begin(), part.end(), allowed)) return false;
    }
    return true;
}

File read_file(const Json& place) {
    File file{place.at("path").get<std::string>(), place.at("size").get<std::uint64_t>(),
              place.at("sha256").get<std::string>()};
    if (!is_portable(file.path)) throw Error("manifest.json: the path " + Json(file.path).dump() + " is not allowed.");
    return file;
}

// Refuses links, also in the directories on the way, and whatever else is no plain file.
fs::path plain_file(const fs::path& root, const std::string& relative) {
    fs::path path = root;
    for (const fs::path& part : fs::path(relative)) {
        path /= part;
        if (fs::is_symlink(fs::symlink_status(path)))
            throw Error(path.string() + ": is a link, which a bundle has not.");
    }
    if (!fs::exists(path)) throw Error(path.string() + ": no such file. The bundle is incomplete: copy it again.");
    if (!fs::is_regular_file(path)) throw Error(path.string() + ": is not a plain file.");
    return path;
}

// Gives the content to `take`, piece by piece.
template <typename Take>
void read_pieces(const fs::path& path, Take take) {
    std::ifstream stream(path, std::ios::binary);
    std::vector<char> buffer(1 << 16);
    while (stream.read(buffer.data(), static_cast<std::streamsize>(buffer.size())), stream.gcount() > 0)
        take(buffer.data(), static_cast<std::size_t>(stream.gcount()));
    if (!stream.eof()) throw Error(path.string() + ": cannot be read.");
}

// The same for a file that the manifest names, of which it returns the path. What `take` gets is what is checked.
template <typename Take>
fs::path read_checked(const fs::path& root, const File& file, Take take) {
    const fs::path path = plain_file(root, file.path);
    Sha256 hash;
    std::uint64_t size = 0;
    read_pieces(path, [&](const char* data, std::size_t length) {
        hash.update(data, length);
        size += length;
        take(data, length);
    });
    if (size != file.size || hash.hex_digest() != file.sha256)
        throw Error(path.string() + ": is not the file that manifest.json describes. Copy the bundle again.");
    return path;
}

}  // namespace

Bundle::Bundle(const fs::path& root) : root_(root) {
    if (!fs::is_directory(root)) throw Error(root.string() + ": no such bundle.");
    if (!fs::exists(root / kManifest)) throw Error(root.string() + ": is no bundle: it has no manifest.json.");
    const fs::path path = plain_file(root, kManifest);
    if (fs::file_size(path) > kMaxManifest) throw Error(path.string() + ": is larger than 4 MiB.");
    std::string text;
    read_pieces(path, [&](const char* data, std::size_t size) { text.append(data, size); });
    manifest_ = parse_json(text, kManifest);
    reading(kManifest, [&] {
        const auto format = manifest_.at("format").get<std::string>();
        if (format != "edgebert/1")
            throw Error("manifest.json: the format is " + format + "; this program reads edgebert/1.");
        const Json& task = manifest_.at("task");
        const auto name = task.at("name").get<std::string>();
        if (name != "text-classification")
            throw Error("The bundle's task is " + name + "; this program does text-classification alone.");
        if (!manifest_.at("cascade").is_null())
            throw Error("The bundle is a cascade of two models; this program runs one. Give it the bundle inside.");
        labels = task.at("labels").get<std::vector<std::string>>();
        if (labels.empty()) throw Error("manifest.json: there are no labels.");
        problem_type = task.at("problem_type").get<std::string>();
        const Json& tokens = manifest_.at("tokenizer");
        tokenizer = read_file(tokens.at("file"));
        golden = read_file(manifest_.at("golden"));
        max_length = tokens.at("max_length").get<int>();
        pad_id = tokens.at("pad_id").get<int>();
    });
}

Artifact Bundle::choose(const Machine& machine, const std::string& openvino) const {
    return reading(kManifest, [&] {
        const auto [found, threads] = best_artifact(manifest_, machine, openvino);
        Artifact artifact{found.at("id").get<std::string>(), {}, {}, 0, found.at("tolerance").get<double>(), threads};
        for (const Json& file : found.at("files")) artifact.files.push_back(read_file(file));
        const Json& shapes = found.at("shapes");
        artifact.buckets = shapes.at("buckets").get<std::vector<int>>();
        const int longest = artifact.buckets.empty() ? shapes.at("max_length").get<int>() : artifact.buckets.back();
        artifact.max_length = std::min(max_length, longest);
        return artifact;
    });
}

fs::path Bundle::checked_path(const File& file) const {
    return read_checked(root_, file, [](const char*, std::size_t) {});
}

std::string Bundle::read(const File& file) const {
    std::string content;
    read_checked(root_, file, [&](const char* data, std::size_t size) { content.append(data, size); });
    return content;
}

}  // namespace edgebert
