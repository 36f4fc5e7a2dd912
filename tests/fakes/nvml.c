/* A small libnvidia-ml.so.1 for the real pynvml. FAKE_NVML says what this machine is like:
 *
 *   present   one GPU            none        a driver and no GPU
 *   lost      one of two is lost permission  the devices may not be opened
 *   mismatch  another driver is loaded       unloaded    no driver is loaded
 *   old       a GPU without power, load and temperature readings
 *
 * The numbers of the errors and the layouts are those of NVIDIA's nvml.h.
 */
#include <stdlib.h>
#include <string.h>

enum {
    SUCCESS = 0,
    NOT_SUPPORTED = 3,
    NO_PERMISSION = 4,
    DRIVER_NOT_LOADED = 9,
    GPU_IS_LOST = 15,
    LIB_RM_VERSION_MISMATCH = 18,
};

typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned int gpu, memory; } utilization_t;

static int is(const char *kind) {
    const char *wanted = getenv("FAKE_NVML");
    return wanted && strcmp(wanted, kind) == 0;
}

static int copy(char *to, unsigned int length, const char *from) {
    strncpy(to, from, length);
    return SUCCESS;
}

int nvmlInit_v2(void) {
    if (is("permission")) return NO_PERMISSION;
    if (is("mismatch")) return LIB_RM_VERSION_MISMATCH;
    if (is("unloaded")) return DRIVER_NOT_LOADED;
    return SUCCESS;
}
int nvmlInitWithFlags(unsigned int flags) { (void)flags; return nvmlInit_v2(); }
int nvmlShutdown(void) { return SUCCESS; }

const char *nvmlErrorString(int result) { (void)result; return "an error of the fake"; }

int nvmlSystemGetDriverVersion(char *to, unsigned int length) {
    return copy(to, length, "580.95.05");
}
int nvmlSystemGetCudaDriverVersion(int *version) { *version = 13000; return SUCCESS; }

int nvmlDeviceGetCount_v2(unsigned int *count) {
    *count = is("none") ? 0 : is("lost") ? 2 : 1;
    return SUCCESS;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device) {
    if (is("lost") && index == 1) return GPU_IS_LOST;
    *device = (void *)(size_t)(index + 1);
    return SUCCESS;
}
int nvmlDeviceGetName(void *device, char *to, unsigned int length) {
    (void)device;
    return copy(to, length, "NVIDIA GeForce RTX 4090");
}
int nvmlDeviceGetUUID(void *device, char *to, unsigned int length) {
    (void)device;
    return copy(to, length, "GPU-11111111-2222-3333-4444-555555555555");
}
int nvmlDeviceGetMemoryInfo(void *device, memory_t *memory) {
    (void)device;
    memory->total = 24ULL << 30;
    memory->used = 2ULL << 30;
    memory->free = 22ULL << 30;
    return SUCCESS;
}
int nvmlDeviceGetUtilizationRates(void *device, utilization_t *rates) {
    (void)device;
    if (is("old")) return NOT_SUPPORTED;
    rates->gpu = 37;
    rates->memory = 5;
    return SUCCESS;
}
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned int *celsius) {
    (void)device, (void)sensor;
    if (is("old")) return NOT_SUPPORTED;
    *celsius = 41;
    return SUCCESS;
}
int nvmlDeviceGetPowerUsage(void *device, unsigned int *milliwatts) {
    (void)device;
    if (is("old")) return NOT_SUPPORTED;
    *milliwatts = 65500;
    return SUCCESS;
}
int nvmlDeviceGetCudaComputeCapability(void *device, int *major, int *minor) {
    (void)device;
    *major = 8;
    *minor = 9;
    return SUCCESS;
}
