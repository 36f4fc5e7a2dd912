"""The faults that end vLLM, by the words of its log for each. Texts of vLLM 0.32."""

from __future__ import annotations

from hydra_box.engines.exits import Rule

SMALLER = "deploy with a shorter context length, less concurrency, or a smaller model"
_FETCH_AGAIN = "get the model's files again and compare their checksums"
_NEWER = "llama.cpp may serve it from a GGUF file; else wait for a newer vLLM"
_LESS_MEMORY = "stop what uses the GPU (hydra-box gpus shows it), or choose a smaller model"
_INSTALL_AGAIN = "run: hydra-box engines install vllm"

_MEMORY = (
    Rule(
        pattern=r"Failed to load model - not enough GPU memory",
        fact="not enough GPU memory for the weights",
        hint=_LESS_MEMORY,
    ),
    Rule(
        pattern=r"CUDA out of memory occurred when warming up sampler with (\d+) dummy requests",
        fact="not enough GPU memory to work on {0} requests at once",
        hint=SMALLER,
    ),
    Rule(
        pattern=(
            r"Free memory on device \S+ \(([\d.]+)/([\d.]+) GiB\) on startup is less than"
            r" desired GPU memory utilization \([\d.]+, ([\d.]+) GiB\)"
        ),
        fact="not enough GPU memory: {0} GiB of {1} GiB were free, {2} GiB were asked for",
        hint=_LESS_MEMORY,
    ),
    Rule(
        pattern=(
            r"max seq len \((\d+)\), \(?([\d.]+ GiB) KV cache is needed, which is larger than the"
            r" available KV cache memory \(([\d.]+ GiB)\)\.(?: Based on the available memory,"
            r" the estimated maximum model length is (\d+))"
        ),
        fact="not enough memory for the KV cache: {0} tokens need {1}, it has {2}",
        hint="a context length of {3} tokens would fit",
    ),
    Rule(
        pattern=(
            r"max seq len \((\d+)\), \(?([\d.]+ GiB) KV cache is needed, which is larger than the"
            r" available KV cache memory \(([\d.]+ GiB)\)"
        ),
        fact="not enough memory for the KV cache: {0} tokens need {1}, it has {2}",
        hint=SMALLER,
    ),
    Rule(
        pattern=r"No available memory for the cache blocks",
        fact="not enough memory for the KV cache: not one block of it would fit",
        hint=SMALLER,
    ),
    Rule(
        pattern=(
            r"Available memory on node (\d+) \(([\d.]+)/([\d.]+) GiB\) on kv cache allocation is"
            r" less than requested memory for kv \(([\d.]+) GiB\)"
        ),
        fact=(
            "not enough memory for the KV cache: {3} GiB were asked for, "
            "NUMA node {0} has {1} GiB of its {2} GiB free"
        ),
        hint=SMALLER,
    ),
    Rule(
        pattern=(
            r"(?s)Capturing CUDA graphs(?:(?!Graph capturing finished).)*"
            r"CUDA out of memory\. Tried to allocate ([\d.]+ \w+)"
        ),
        fact="not enough GPU memory to record CUDA graphs: {0} more were refused",
        hint=SMALLER,
    ),
    Rule(
        pattern=(
            r"(?s)Loading weights took(?:(?!Capturing CUDA graphs).)*"
            r"CUDA out of memory\. Tried to allocate ([\d.]+ \w+)"
        ),
        fact="not enough GPU memory for the KV cache and one batch: {0} more were refused",
        hint=SMALLER,
    ),
    Rule(
        pattern=r"CUDA out of memory\. Tried to allocate ([\d.]+ \w+)",
        fact="not enough GPU memory for the weights: {0} more were refused",
        hint=_LESS_MEMORY,
    ),
    Rule(
        pattern=r"CUDA (?:error: )?out of memory", fact="not enough GPU memory", hint=_LESS_MEMORY
    ),
    Rule(
        pattern=r"DefaultCPUAllocator: can't allocate memory: you tried to allocate (\d+) bytes",
        fact="not enough memory: {0} bytes more were refused",
        hint=SMALLER,
    ),
    Rule(
        pattern=r"No space left on device: '/dev/shm|unable to (?:open|write to) shared memory",
        fact="not enough shared memory in /dev/shm for vLLM's processes",
        hint="give /dev/shm more room (in a container: --shm-size=8g)",
    ),
)

_FILES = (
    Rule(
        pattern=r"Model architectures \[([^\]\n]*)\] are not supported",
        fact="this vLLM does not know the model's architecture {0}",
        hint=_NEWER,
    ),
    Rule(
        pattern=r"model type `([^`\n]*)` but Transformers does not recognize",
        fact="this vLLM does not know the model's type {0!r}",
        hint=_NEWER,
    ),
    Rule(
        pattern=r"trust_remote_code=True|--trust-remote-code",
        fact="the model needs Python code of its own repository, which Hydra Box does not run",
        hint="choose a model that vLLM or llama.cpp knows by itself",
    ),
    Rule(
        pattern=r"GatedRepoError|gated repo|Access to model (\S+) is restricted",
        fact="the model is gated: its owner has to let you in first",
        hint="accept its licence on its page, then set HF_TOKEN and fetch it again",
    ),
    Rule(
        pattern=r"SafetensorError: Error while deserializing header: (.+)",
        fact="the model's weights are truncated or corrupt: {0}",
        hint=_FETCH_AGAIN,
    ),
    Rule(
        pattern=r"SafetensorError: (.+)",
        fact="the model's weights cannot be read: {0}",
        hint=_FETCH_AGAIN,
    ),
    Rule(
        pattern=r"Cannot find any model weights with `([^`\n]*)`",
        fact="there are no safetensors files in {0}",
        hint=_FETCH_AGAIN,
    ),
    Rule(
        pattern=r"config file at '([^'\n]*)' is not a valid JSON file",
        fact="{0} is not valid JSON",
        hint=_FETCH_AGAIN,
    ),
    Rule(
        pattern=(
            r"(?:Invalid repository ID or local directory specified:"
            r"|Repo id must be in the form [^:\n]*:) '([^'\n]*)'"
        ),
        fact="{0} is not a directory with a model: it has no config.json",
        hint="give the path of a directory with config.json and safetensors files",
    ),
    Rule(
        pattern=(
            r"instantiate the backend tokenizer|Can't load tokenizer for"
            r"|Unable to load vocabulary from file"
        ),
        fact="the model's directory has no tokenizer that can be read",
        hint=_FETCH_AGAIN,
    ),
    Rule(
        pattern=(
            r"size of tensor a \(\d+\) must match|Attempted to load weight \(torch"
            r"|There is no module or parameter named '([^'\n]*)'"
            r"|Following weights were not initialized"
        ),
        fact="the model's weights do not have the shapes that its config.json names",
        hint=_FETCH_AGAIN,
    ),
)

_SETTINGS = (
    Rule(
        pattern=(
            r"quantization method (\S+) is not supported for the current GPU\."
            r" Minimum capability: (\d+)\. Current capability: (\d+)"
        ),
        fact=(
            "the quantisation {0} needs a GPU of compute capability {1} (without the dot); "
            "this one has {2}"
        ),
        hint="choose another quantisation; llama.cpp serves GGUF files on older GPUs",
    ),
    Rule(
        pattern=r"Unknown quantization method: ([^\s.]+)",
        fact="this vLLM does not know the quantisation {0}",
        hint="choose another quantisation",
    ),
    Rule(
        pattern=(
            r"Failed to find a kernel that can implement the ([^.\n]*)\. Reasons:\s*"
            r"(?:\([^\n]*\] )?([^\n.]+)"
        ),
        fact="this machine cannot compute with the model's quantisation: {1}",
        hint="choose another quantisation",
    ),
    Rule(
        pattern=r"in the model's quantization config|not supported for quantization method (\S+)",
        fact="the quantisation that the model's config.json names cannot be used",
        hint="choose another quantisation, or get the model's files again",
    ),
    Rule(
        pattern=(
            r"User-specified max_model_len \((\d+)\) is greater than the derived max_model_len"
            r" \(\w+=(\d+)"
        ),
        fact="the context length of {0} tokens is longer than the model was trained for: {1}",
        hint="deploy with a context length of at most {1}",
    ),
    Rule(
        pattern=r"heads \((\d+)\) must be divisible by tensor parallel size \((\d+)\)",
        fact="the model's {0} heads cannot be shared by {1} GPUs",
        hint="deploy it on 1, 2, 4 or 8 GPUs",
    ),
    Rule(
        pattern=r"max_num_batched_tokens \((\d+)\) is smaller than max_model_len \((\d+)\)",
        fact="a batch of {0} tokens cannot hold the context length of {1}",
        hint="deploy with a context length of at most {0}",
    ),
    Rule(
        pattern=r"invalid tool call parser: (\S+)|cannot be used with the tokenizer of ([^\n]*)",
        fact="the model's tokenizer does not fit the way in which it should call tools",
    ),
    Rule(
        pattern=r"unrecognized arguments: (\S+)",
        fact="this vLLM does not know the option {0}: its version does not fit",
        hint=_INSTALL_AGAIN,
    ),
    Rule(
        pattern=r"error: argument (--[\w-]+): invalid (?:choice|\w+ value): '?([^'\s]+)",
        fact="this vLLM does not take {1} for {0}",
    ),
)

_MACHINE = (
    Rule(
        pattern=r"NVIDIA driver on your system is too old \(found version (\d+)\)",
        fact="the NVIDIA driver is older than the CUDA that this vLLM was built with",
        hint="update the NVIDIA driver",
    ),
    Rule(
        pattern=r"no kernel image is available for execution on the device",
        fact="this build of vLLM has no code for this GPU",
        hint="llama.cpp is built for it: hydra-box engines install llama.cpp",
    ),
    Rule(
        pattern=r"No CUDA GPUs are available|CUDA_ERROR_NO_DEVICE|invalid device ordinal",
        fact="vLLM does not see the GPU that it was given",
        hint="see: hydra-box doctor",
    ),
    Rule(
        pattern=r"NCCL error: ([^\n]+)|ncclInternalError|ncclUnhandledCudaError|ncclSystemError",
        fact="the GPUs could not talk to each other (NCCL): {0}",
        hint="deploy on one GPU; dmesg may tell more, and /dev/shm may be too small",
    ),
    Rule(
        pattern=r"Failed to find C compiler|Python\.h: No such file",
        fact="vLLM compiles for the GPU and finds no C compiler with Python's headers",
        hint="Debian, Ubuntu: apt install build-essential python3-dev; Fedora: dnf install gcc",
    ),
    Rule(
        pattern=r"CUDA error: ([^\n]+)",
        fact="the GPU failed: {0}",
        hint="see: hydra-box doctor",
    ),
    Rule(
        pattern=r"Worker proc (\S+) died unexpectedly \(exit code: (?:-9|None)\)",
        fact="a worker was killed, most likely because the machine ran out of memory",
        hint=f"{SMALLER}; the kernel's log says more: dmesg | grep -i oom",
    ),
    Rule(
        pattern=r"Worker proc (\S+) died unexpectedly \(exit code: (-?\d+)\)",
        fact="the worker {0} ended with status {1}",
        hint="its log has the last lines",
    ),
    Rule(
        pattern=r"Engine core proc \S+ died unexpectedly",
        fact="vLLM's engine process was killed, most likely because the machine ran out of memory",
        hint=f"{SMALLER}; the kernel's log says more: dmesg | grep -i oom",
    ),
    Rule(
        pattern=r"No module named '([\w.]+)'",
        fact="the Python package {0} is missing in vLLM's environment",
        hint=_INSTALL_AGAIN,
    ),
    Rule(
        pattern=r"ImportError: ([^:\n]+): cannot open shared object file",
        fact="vLLM lacks the shared library {0}",
        hint=_INSTALL_AGAIN,
    ),
    Rule(
        pattern=r"sock\.bind\(path\)\n(?:[^\n]*\n)?(?:OSError|FileNotFoundError): ([^\n]+)",
        fact="vLLM could not listen on its socket: {0}",
    ),
    Rule(pattern=r"(?m)^(?:\([^)\n]*\) [^\n]*\] )?MemoryError$", fact="not enough memory"),
)

RULES = (*_MEMORY, *_FILES, *_SETTINGS, *_MACHINE)
"""Those of memory first: a process that runs out of it may say more afterwards."""
