/* A libnvidia-ml.so.1 for the real pynvml, whose machine comes from the text file that
 * FAKE_NVML_MACHINE names. The file is read again at every query, so that a test changes the
 * machine while it is looked at; replace it by renaming another over it. The numbers of the errors
 * and the layouts are those of NVIDIA's nvml.h.
 *
 *   init 18                  nvmlInit answers this error
 *   hang                     nvmlDeviceGetCount does not return while this line is there
 *   driver 580.95.05         the driver's version
 *   cuda 13000               the CUDA version
 *   xid GPU-1111... 79       that GPU has reported this; those that are there when an event set is
 *                            made are not told, those that come later once each
 *   no_events                nvmlDeviceRegisterEvents answers NOT_SUPPORTED
 *   gpu GPU-1111...          begins a GPU, with its UUID; they are numbered in this order
 *   mig MIG-2222...          begins a MIG instance of the GPU above
 *
 * Below a gpu or mig line, what it has; what it has not is NOT_SUPPORTED:
 *
 *   name NVIDIA H200         capability 9.0           pci 00000000:01:00.0
 *   total 25769803776        free 24696061952         numa 0
 *   utilization 37           temperature 41           power 65500 (mW)
 *   power_limit 450000 (mW)  mig_mode 1               (a GPU in MIG mode)
 *   slowdown 90              reasons 128              (why its clocks are low: a set of bits)
 *   nvlink GPU-...           pcie GPU-...             (one peer a line)
 *   process compute 4000 1073741824                   (or graphics, or mps; "-": bytes not told)
 *   handle_error 15          nvmlDeviceGetHandleByIndex answers this error
 *   error 15                 every query of it answers this error
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    TIMEOUT = 10,
    GPU_IS_LOST = 15,
};
enum { MOST_DEVICES = 64, MOST_PROCESSES = 32, MOST_PEERS = 16, MOST_XIDS = 64, TEXT = 96 };
enum { XID_CRITICAL_ERROR = 8 };
enum { TOPOLOGY_HOSTBRIDGE = 30, TOPOLOGY_SYSTEM = 50, P2P_OK = 0, P2P_NOT_SUPPORTED = 5 };
enum { P2P_NVLINK = 2, THRESHOLD_SLOWDOWN = 1 };

typedef unsigned long long u64;
typedef struct { u64 total, free, used; } memory_t;
typedef struct { unsigned int gpu, memory; } utilization_t;
typedef struct {
    unsigned int pid;
    u64 bytes;
    unsigned int gpu_instance, compute_instance;
} process_t;
typedef struct {
    char legacy_bus_id[16];
    unsigned int domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
} pci_t;

typedef struct {
    char uuid[TEXT], name[TEXT], pci[TEXT];
    int parent; /* of a MIG instance: the place of its GPU; else -1 */
    int error, handle_error, mig_mode;
    int major, minor;
    long numa, utilization, temperature, power, power_limit, slowdown; /* -1: not there */
    u64 reasons;
    u64 total, free;
    int process_count, nvlink_count, pcie_count;
    struct { char kind[16]; process_t it; } processes[MOST_PROCESSES];
    char nvlink[MOST_PEERS][TEXT], pcie[MOST_PEERS][TEXT];
} device_t;

typedef struct { void *handle; u64 type, data; unsigned int gpu_instance, compute_instance; } event_t;

typedef struct {
    int init_error, hang, cuda, count, no_events, xid_count;
    struct { char uuid[TEXT]; u64 number; } xids[MOST_XIDS];
    char driver[TEXT];
    device_t devices[MOST_DEVICES];
} machine_t;

/* One for each thread, so that threads may ask at the same time. */
static _Thread_local machine_t machine;
static atomic_int opened;

/* Of the one event set: how many Xids are told, and whose are to be. */
static int told, heard_count;
static void *heard[MOST_DEVICES];

static device_t *begin_device(const char *uuid, int is_mig) {
    if (machine.count == MOST_DEVICES) abort();
    device_t *device = &machine.devices[machine.count++];
    memset(device, 0, sizeof *device);
    snprintf(device->uuid, TEXT, "%s", uuid);
    device->parent = -1;
    device->numa = device->utilization = device->temperature = -1;
    device->power = device->power_limit = device->slowdown = -1;
    if (is_mig) {
        for (device->parent = machine.count - 2; device->parent >= 0; device->parent--)
            if (machine.devices[device->parent].parent < 0) break;
        if (device->parent < 0) abort();
    }
    return device;
}

static void read_process(device_t *device, const char *value) {
    char bytes[TEXT];
    if (device->process_count == MOST_PROCESSES) abort();
    process_t *one = &device->processes[device->process_count].it;
    char *kind = device->processes[device->process_count++].kind;
    if (sscanf(value, "%15s %u %95s", kind, &one->pid, bytes) != 3) abort();
    one->bytes = strcmp(bytes, "-") ? strtoull(bytes, NULL, 10) : ~0ULL;
    one->gpu_instance = one->compute_instance = ~0U;
}

static void read_xid(const char *value) {
    if (machine.xid_count == MOST_XIDS) abort();
    char *uuid = machine.xids[machine.xid_count].uuid;
    if (sscanf(value, "%95s %llu", uuid, &machine.xids[machine.xid_count++].number) != 2) abort();
}

static void add_peer(char peers[][TEXT], int *count, const char *uuid) {
    if (*count == MOST_PEERS) abort();
    snprintf(peers[(*count)++], TEXT, "%s", uuid);
}

static void read_key(device_t *device, const char *key, const char *value) {
    if (!strcmp(key, "name")) snprintf(device->name, TEXT, "%s", value);
    else if (!strcmp(key, "pci")) snprintf(device->pci, TEXT, "%s", value);
    else if (!strcmp(key, "capability")) sscanf(value, "%d.%d", &device->major, &device->minor);
    else if (!strcmp(key, "total")) device->total = strtoull(value, NULL, 10);
    else if (!strcmp(key, "free")) device->free = strtoull(value, NULL, 10);
    else if (!strcmp(key, "numa")) device->numa = atol(value);
    else if (!strcmp(key, "utilization")) device->utilization = atol(value);
    else if (!strcmp(key, "temperature")) device->temperature = atol(value);
    else if (!strcmp(key, "power")) device->power = atol(value);
    else if (!strcmp(key, "power_limit")) device->power_limit = atol(value);
    else if (!strcmp(key, "slowdown")) device->slowdown = atol(value);
    else if (!strcmp(key, "reasons")) device->reasons = strtoull(value, NULL, 10);
    else if (!strcmp(key, "mig_mode")) device->mig_mode = atoi(value);
    else if (!strcmp(key, "error")) device->error = atoi(value);
    else if (!strcmp(key, "handle_error")) device->handle_error = atoi(value);
    else if (!strcmp(key, "nvlink")) add_peer(device->nvlink, &device->nvlink_count, value);
    else if (!strcmp(key, "pcie")) add_peer(device->pcie, &device->pcie_count, value);
    else if (!strcmp(key, "process")) read_process(device, value);
    else abort(); /* A misspelt machine file is a broken test. */
}

static void read_machine(void) {
    const char *path = getenv("FAKE_NVML_MACHINE");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[512];
    device_t *device = NULL;
    if (!file) abort();
    machine.init_error = machine.hang = machine.cuda = machine.count = 0;
    machine.no_events = machine.xid_count = 0;
    machine.driver[0] = '\0';
    while (fgets(line, sizeof line, file)) {
        char *key = line + strspn(line, " ");
        key[strcspn(key, "\n")] = '\0';
        if (!*key || *key == '#') continue;
        char *value = key + strcspn(key, " ");
        if (*value) *value++ = '\0';
        if (!strcmp(key, "init")) machine.init_error = atoi(value);
        else if (!strcmp(key, "hang")) machine.hang = 1;
        else if (!strcmp(key, "no_events")) machine.no_events = 1;
        else if (!strcmp(key, "xid")) read_xid(value);
        else if (!strcmp(key, "driver")) snprintf(machine.driver, TEXT, "%s", value);
        else if (!strcmp(key, "cuda")) machine.cuda = atoi(value);
        else if (!strcmp(key, "gpu")) device = begin_device(value, 0);
        else if (!strcmp(key, "mig")) device = begin_device(value, 1);
        else if (device) read_key(device, key, value);
        else abort();
    }
    fclose(file);
}

/* A handle is made from the UUID, so that it stays that GPU's when the file changes. */
static void *handle_of_uuid(const char *uuid) {
    u64 hash = 14695981039346656037ULL;
    for (const char *at = uuid; *at; at++) hash = (hash ^ (unsigned char)*at) * 1099511628211ULL;
    return (void *)(size_t)(hash | 1);
}

static void *handle_of(const device_t *device) { return handle_of_uuid(device->uuid); }

/* The device of a handle in the machine as it was read. */
static int look_up(void *handle, device_t **found) {
    for (int at = 0; at < machine.count; at++) {
        if (handle_of(&machine.devices[at]) != handle) continue;
        *found = &machine.devices[at];
        return (*found)->error;
    }
    return GPU_IS_LOST;
}

/* The device of a handle in the machine as it is now. */
static int find(void *handle, device_t **found) {
    if (!opened) return UNINITIALIZED;
    read_machine();
    return look_up(handle, found);
}

#define FIND(handle, device)                 \
    device_t *device;                        \
    int found = find(handle, &device);       \
    if (found != SUCCESS) return found

static int text(char *to, unsigned int length, const char *from) {
    if (!*from) return NOT_SUPPORTED;
    if (strlen(from) >= length) return INSUFFICIENT_SIZE;
    strcpy(to, from);
    return SUCCESS;
}

static int number(unsigned int *to, long from) {
    if (from < 0) return NOT_SUPPORTED;
    *to = (unsigned int)from;
    return SUCCESS;
}

int nvmlInitWithFlags(unsigned int flags) {
    (void)flags;
    read_machine();
    if (machine.init_error == SUCCESS) opened++;
    return machine.init_error;
}

int nvmlShutdown(void) {
    if (!opened) return UNINITIALIZED;
    opened--;
    return SUCCESS;
}

const char *nvmlErrorString(int result) { (void)result; return "an error of the fake"; }

int nvmlSystemGetDriverVersion(char *to, unsigned int length) {
    if (!opened) return UNINITIALIZED;
    read_machine();
    return text(to, length, machine.driver);
}

int nvmlSystemGetCudaDriverVersion(int *version) {
    read_machine();
    *version = machine.cuda;
    return machine.cuda ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetCount_v2(unsigned int *count) {
    if (!opened) return UNINITIALIZED;
    for (read_machine(); machine.hang; read_machine())
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    *count = 0;
    for (int at = 0; at < machine.count; at++) *count += machine.devices[at].parent < 0;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **handle) {
    if (!opened) return UNINITIALIZED;
    read_machine();
    for (int at = 0; at < machine.count; at++) {
        if (machine.devices[at].parent >= 0 || index-- > 0) continue;
        *handle = handle_of(&machine.devices[at]);
        return machine.devices[at].handle_error;
    }
    return INVALID_ARGUMENT;
}

int nvmlDeviceGetName(void *handle, char *to, unsigned int length) {
    FIND(handle, device);
    return text(to, length, device->name);
}

int nvmlDeviceGetUUID(void *handle, char *to, unsigned int length) {
    FIND(handle, device);
    return text(to, length, device->uuid);
}

int nvmlDeviceGetMemoryInfo(void *handle, memory_t *memory) {
    FIND(handle, device);
    if (!device->total) return NOT_SUPPORTED;
    *memory = (memory_t){device->total, device->free, device->total - device->free};
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(void *handle, utilization_t *rates) {
    FIND(handle, device);
    rates->memory = 0;
    return number(&rates->gpu, device->utilization);
}

int nvmlDeviceGetTemperature(void *handle, int sensor, unsigned int *celsius) {
    (void)sensor;
    FIND(handle, device);
    return number(celsius, device->temperature);
}

int nvmlDeviceGetTemperatureThreshold(void *handle, int threshold, unsigned int *celsius) {
    FIND(handle, device);
    return threshold == THRESHOLD_SLOWDOWN ? number(celsius, device->slowdown) : NOT_SUPPORTED;
}

int nvmlDeviceGetCurrentClocksThrottleReasons(void *handle, u64 *reasons) {
    FIND(handle, device);
    *reasons = device->reasons;
    return SUCCESS;
}

int nvmlDeviceGetPowerUsage(void *handle, unsigned int *milliwatts) {
    FIND(handle, device);
    return number(milliwatts, device->power);
}

int nvmlDeviceGetEnforcedPowerLimit(void *handle, unsigned int *milliwatts) {
    FIND(handle, device);
    return number(milliwatts, device->power_limit);
}

int nvmlDeviceGetCudaComputeCapability(void *handle, int *major, int *minor) {
    FIND(handle, device);
    *major = device->major;
    *minor = device->minor;
    return device->major ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetPciInfo_v3(void *handle, pci_t *pci) {
    FIND(handle, device);
    memset(pci, 0, sizeof *pci);
    return text(pci->bus_id, sizeof pci->bus_id, device->pci);
}

int nvmlDeviceGetMemoryAffinity(void *handle, unsigned int size, unsigned long *set, int scope) {
    (void)scope;
    FIND(handle, device);
    if (device->numa < 0) return NOT_SUPPORTED;
    if ((unsigned long)device->numa >= 64UL * size) return INSUFFICIENT_SIZE;
    memset(set, 0, size * sizeof *set);
    set[device->numa / 64] = 1UL << (device->numa % 64);
    return SUCCESS;
}

static int processes(void *handle, const char *kind, unsigned int *room, process_t *to) {
    unsigned int count = 0;
    FIND(handle, device);
    for (int at = 0; at < device->process_count; at++) {
        if (strcmp(device->processes[at].kind, kind)) continue;
        if (count < *room && to) to[count] = device->processes[at].it;
        count++;
    }
    int fits = count <= *room;
    *room = count;
    return fits ? SUCCESS : INSUFFICIENT_SIZE;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned int *count, process_t *to) {
    return processes(handle, "compute", count, to);
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *handle, unsigned int *count, process_t *to) {
    return processes(handle, "graphics", count, to);
}
int nvmlDeviceGetMPSComputeRunningProcesses_v3(void *handle, unsigned int *count, process_t *to) {
    return processes(handle, "mps", count, to);
}

int nvmlDeviceGetMigMode(void *handle, unsigned int *current, unsigned int *pending) {
    FIND(handle, device);
    *current = *pending = (unsigned int)device->mig_mode;
    return SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned int *count) {
    FIND(handle, device);
    *count = device->mig_mode ? 7 : 0;
    return SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned int index, void **instance) {
    FIND(handle, device);
    for (int at = 0; at < machine.count; at++) {
        if (machine.devices[at].parent != (int)(device - machine.devices) || index-- > 0) continue;
        *instance = handle_of(&machine.devices[at]);
        return SUCCESS;
    }
    return NOT_FOUND;
}

static int is_peer(char peers[][TEXT], int count, const device_t *other) {
    for (int at = 0; at < count; at++)
        if (!strcmp(peers[at], other->uuid)) return 1;
    return 0;
}

int nvmlDeviceGetP2PStatus(void *one, void *two, int index, int *status) {
    device_t *other;
    FIND(one, device);
    if ((found = look_up(two, &other)) != SUCCESS) return found;
    if (index != P2P_NVLINK) return INVALID_ARGUMENT;
    *status = is_peer(device->nvlink, device->nvlink_count, other) ? P2P_OK : P2P_NOT_SUPPORTED;
    return SUCCESS;
}

int nvmlDeviceGetTopologyCommonAncestor(void *one, void *two, int *level) {
    device_t *other;
    FIND(one, device);
    if ((found = look_up(two, &other)) != SUCCESS) return found;
    int near = is_peer(device->pcie, device->pcie_count, other);
    *level = near ? TOPOLOGY_HOSTBRIDGE : TOPOLOGY_SYSTEM;
    return SUCCESS;
}

int nvmlEventSetCreate(void **set) {
    if (!opened) return UNINITIALIZED;
    read_machine();
    told = machine.xid_count;
    heard_count = 0;
    *set = &told;
    return SUCCESS;
}

int nvmlDeviceRegisterEvents(void *handle, u64 types, void *set) {
    FIND(handle, device);
    if (machine.no_events || !(types & XID_CRITICAL_ERROR)) return NOT_SUPPORTED;
    if (set != &told || heard_count == MOST_DEVICES) return INVALID_ARGUMENT;
    heard[heard_count++] = handle_of(device);
    return SUCCESS;
}

int nvmlEventSetWait_v2(void *set, event_t *event, unsigned int timeout_ms) {
    if (!opened) return UNINITIALIZED;
    if (set != &told || timeout_ms) return INVALID_ARGUMENT;
    for (read_machine(); told < machine.xid_count; told++) {
        void *handle = handle_of_uuid(machine.xids[told].uuid);
        for (int at = 0; at < heard_count; at++) {
            if (heard[at] != handle) continue;
            *event = (event_t){handle, XID_CRITICAL_ERROR, machine.xids[told++].number, ~0U, ~0U};
            return SUCCESS;
        }
    }
    return TIMEOUT;
}

int nvmlEventSetFree(void *set) { return set == &told ? SUCCESS : INVALID_ARGUMENT; }
