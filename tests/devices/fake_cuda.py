"""A stand-in for NVIDIA's driver: a real shared library, compiled from a few lines of C."""

from __future__ import annotations

from pathlib import Path

from tests.devices.compiled import write_library

_SOURCE = r"""
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int ready = 0;
static const char *names[] = {GPUS};
static const int majors[] = {MAJORS};
static const int minors[] = {MINORS};
static const size_t memories[] = {MEMORIES};
static int count(void) { return sizeof(names) / sizeof(*names); }

int cuDriverGetVersion(int *version) { *version = VERSION; return 0; }

int cuInit(unsigned int flags) {
    fputs(SAYS, stdout);
    fflush(stdout);
    BEFORE_INIT;
    ready = flags == 0 && INIT == 0;
    return INIT;
}

int cuDeviceGetCount(int *number) {
    if (!ready) return 3;
    *number = names[0] ? count() : 0;
    return COUNT_CODE;
}

int cuDeviceGet(int *device, int ordinal) {
    if (!ready) return 3;
    if (ordinal < 0 || ordinal >= count()) return 101;
    *device = 40 + ordinal; /* a handle need not be the ordinal */
    return 0;
}

int cuDeviceGetName(char *name, int length, int device) {
    if (device < 40 || device >= 40 + count()) return 101;
    strncpy(name, names[device - 40], length);
    name[length - 1] = 0;
    return 0;
}

int TOTAL_MEM(size_t *bytes, int device) {
    if (device < 40 || device >= 40 + count()) return 101;
    *bytes = memories[device - 40];
    return 0;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
    if (device < 40 || device >= 40 + count()) return 101;
    switch (attribute) {
        case 18: *value = INTEGRATED; return 0;
        case 75: *value = majors[device - 40]; return 0;
        case 76: *value = minors[device - 40]; return 0;
    }
    return 1;
}

int ERROR_NAME(int code, const char **name) {
    if (code != 999 && code != 100) return 1;
    *name = code == 100 ? "CUDA_ERROR_NO_DEVICE" : "CUDA_ERROR_UNKNOWN";
    return 0;
}

/* Whoever makes a context fails the test. */
int cuCtxCreate_v2(void **context, unsigned int flags, int device) { abort(); }
int cuDevicePrimaryCtxRetain(void **context, int device) { abort(); }
"""

_DEFAULTS = {
    "GPUS": '"Orin"',
    "MAJORS": "8",
    "MINORS": "7",
    "MEMORIES": "8000000000UL",
    "INTEGRATED": "1",
    "VERSION": "12060",
    "INIT": "0",
    "COUNT_CODE": "0",
    "SAYS": '"a driver that prints\\n"',
    "BEFORE_INIT": "",
    "TOTAL_MEM": "cuDeviceTotalMem_v2",
    "ERROR_NAME": "cuGetErrorName",
}


def build(folder: Path, **changes: str) -> str:
    """The path of a ``libcuda.so.1`` in ``folder`` that answers as the changed macros say; by default one Orin."""
    assert set(changes) <= set(_DEFAULTS)
    macros = [f"-D{name}={value}" for name, value in {**_DEFAULTS, **changes}.items()]
    return write_library(folder / "libcuda.so.1", _SOURCE, *macros)
