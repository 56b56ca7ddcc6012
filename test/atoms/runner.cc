// Runs the atoms: `atoms [--write-goldens FILE | --goldens FILE] [NAME...]`. `atoms --stuck` instead shows how a
// barrier that never completes ends: on simt, and on a GPU in a build with WARPLOOP_TRAP.
//
// Goldens are lines "atom/what count kind values": kind "exact" with the FNV-1a hash of the values as
// doubles, or "near TOLERANCE" with the values.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>

#include "atom.h"
#include "cuda/cuda_check.h"

namespace warploop::atoms {
namespace {

struct Registered {
  const char* name;
  int capability;
  void (*run)(Run&);
};
std::vector<Registered>& registered() {
  static std::vector<Registered> all;
  return all;
}

void (*run_stuck)(const cuda::CudaContext&) = nullptr;
int passed = 0, failed = 0;
std::map<std::string, std::string> golden_lines;  // read, or to be written
bool write_goldens = false, read_goldens = false;

void report(bool ok, const std::string& text) {
  (ok ? passed : failed)++;
  if (!ok) std::printf("FAILED %s\n", text.c_str());
}

bool is_near(double got, double want, double tolerance) {
  if (std::isnan(want)) return std::isnan(got);
  if (got == want) return true;
  return std::fabs(got - want) <= tolerance * std::fmax(1, std::fabs(want));
}

std::string difference(const std::vector<double>& got, const std::vector<double>& want, double tolerance) {
  if (got.size() != want.size()) return concat(got.size(), " values instead of ", want.size());
  size_t wrong = 0, first = 0;
  for (size_t i = got.size(); i-- > 0;) {
    if (is_near(got[i], want[i], tolerance)) continue;
    wrong++;
    first = i;
  }
  if (wrong == 0) return {};
  return concat(wrong, " of ", got.size(), " values differ, the first at ", first, ": ", got[first],
                " instead of ", want[first]);
}

std::string exact_line(const std::vector<double>& values) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (double value : values) {
    if (std::isnan(value)) value = -0.0;  // whatever NaN it is
    unsigned char bytes[8];
    std::memcpy(bytes, &value, 8);
    for (unsigned char byte : bytes) hash = (hash ^ byte) * 0x100000001b3u;
  }
  char text[64];
  std::snprintf(text, sizeof text, "%zu exact %016llx", values.size(), static_cast<unsigned long long>(hash));
  return text;
}

std::string near_line(const std::vector<double>& values, double tolerance) {
  std::ostringstream line;
  line.precision(9);
  line << values.size() << " near " << tolerance;
  for (double value : values) line << ' ' << value;
  return line.str();
}

void check_golden(const std::string& name, const std::vector<double>& got, double tolerance) {
  if (write_goldens) golden_lines[name] = tolerance == 0 ? exact_line(got) : near_line(got, tolerance);
  const auto line = golden_lines.find(name);
  if (!read_goldens || line == golden_lines.end()) return;
  if (tolerance == 0) {
    report(line->second == exact_line(got), name + ": not what the GPU computed: " + line->second);
    return;
  }
  std::istringstream words(line->second);
  size_t count;
  std::string kind, word;
  words >> count >> kind >> word;
  std::vector<double> golden;
  while (words >> word) golden.push_back(std::strtod(word.c_str(), nullptr));
  const std::string text = difference(got, golden, tolerance);
  report(text.empty(), name + " against the GPU's values: " + text);
}

cuda::CudaContext make_context() {
  cuda::CudaContext context{};
  cudaDeviceProp properties;
  cuda::require(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  context.compute_capability = 10 * properties.major + properties.minor;
  context.num_sms = properties.multiProcessorCount;
  cuda::require(cudaStreamCreateWithFlags(&context.stream, cudaStreamNonBlocking),
                "cudaStreamCreateWithFlags");
  std::printf("%s, sm_%d\n", properties.name, context.compute_capability);
  return context;
}

/// 0: the wait has ended with an error, which is printed.
int show_stuck_barrier(const cuda::CudaContext& context) {
#if defined(WARPLOOP_SIMT) || defined(WARPLOOP_TRAP)
  try {
    if (run_stuck) run_stuck(context);
    cuda::require(cudaStreamSynchronize(context.stream), "cudaStreamSynchronize");
    std::printf("the wait has come to an end\n");
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
    return 0;
  }
#else
  std::printf("this build would hang: build the atoms with -DWARPLOOP_TRAP\n");
#endif
  return 1;
}

int run_all(const cuda::CudaContext& context, const std::vector<std::string>& names) {
  int skipped = 0;
  for (const Registered& atom : registered()) {
    bool wanted = names.empty();
    for (const std::string& name : names) wanted = wanted || name == atom.name;
    if (!wanted) continue;
    if (context.compute_capability < atom.capability) {
      skipped++;
      continue;
    }
    try {
      Run run(atom.name, context);
      atom.run(run);
      cuda::require(cudaStreamSynchronize(context.stream), "cudaStreamSynchronize");
    } catch (const std::exception& error) {
      report(false, concat(atom.name, ": ", error.what()));
      break;  // after an error of a kernel the device can do nothing more
    }
  }
  if (skipped) std::printf("%d atoms skipped: the GPU does not have them\n", skipped);
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace

Atom::Atom(const char* name, int capability, void (*run)(Run&)) {
  registered().push_back({name, capability, run});
}

StuckAtom::StuckAtom(void (*run)(const cuda::CudaContext&)) { run_stuck = run; }

Run::~Run() {
  for (void* p : memory_) cudaFree(p);
}

void* Run::copy_in(const void* values, size_t bytes) {
  void* p;
  cuda::require(cudaMalloc(&p, bytes), "cudaMalloc");
  memory_.push_back(p);
  cuda::require(cudaMemcpyAsync(p, values, bytes, cudaMemcpyHostToDevice, context_.stream),
                "cudaMemcpyAsync");
  cuda::require(cudaStreamSynchronize(context_.stream), "cudaStreamSynchronize");
  return p;
}

void Run::copy_out(void* values, const void* p, size_t bytes) {
  cuda::require(cudaMemcpyAsync(values, p, bytes, cudaMemcpyDeviceToHost, context_.stream),
                "cudaMemcpyAsync");
  cuda::require(cudaStreamSynchronize(context_.stream), atom_);
}

void Run::compare(const std::string& what, const std::vector<double>& got, const std::vector<double>& want,
                  double tolerance) {
  const std::string name = concat(atom_, '/', what);
  const std::string text = difference(got, want, tolerance);
  report(text.empty(), name + ": " + text);
  check_golden(name, got, tolerance);
}

/// 0: all checks passed. 1: some failed. 2: wrong arguments, no GPU.
int run_main(int argc, char** argv) {
  std::string goldens;
  std::vector<std::string> names;
  bool stuck = false;
  for (int i = 1; i < argc; i++) {
    const std::string word = argv[i];
    write_goldens = write_goldens || word == "--write-goldens";
    read_goldens = read_goldens || word == "--goldens";
    stuck = stuck || word == "--stuck";
    if (word == "--write-goldens" || word == "--goldens") {
      if (++i == argc) return 2;
      goldens = argv[i];
    } else {
      names.push_back(word);
    }
  }
  if (read_goldens) {
    std::ifstream file(goldens);
    if (!file) {
      std::printf("%s: cannot be read\n", goldens.c_str());
      return 2;
    }
    std::string line;
    while (std::getline(file, line)) {
      if (const size_t space = line.find(' '); !line.starts_with('#') && space != std::string::npos) {
        golden_lines[line.substr(0, space)] = line.substr(space + 1);
      }
    }
  }
  cuda::CudaContext context{};
  try {
    context = make_context();
  } catch (const std::exception& error) {
    std::printf("no GPU: %s\n", error.what());
    return 2;
  }
  if (stuck) return show_stuck_barrier(context);
  const int status = run_all(context, names);
  if (write_goldens && status == 0) {
    std::ofstream file(goldens);
    file << "# What test/atoms computed on a GPU. Written by atoms --write-goldens; see runner.cc.\n";
    for (const auto& [name, line] : golden_lines) file << name << ' ' << line << '\n';
    if (!file) return 2;
  }
  return status;
}

}  // namespace warploop::atoms

int main(int argc, char** argv) { return warploop::atoms::run_main(argc, argv); }
