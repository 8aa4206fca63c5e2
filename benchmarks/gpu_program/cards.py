"""The GPUs that programs are compiled for, as data: what the compiler asks about one, and what one can do in a second."""

import dataclasses

NODE_US = 2.0
"""Time from one node of a CUDA graph to the next, in microseconds. Assumed; it was not measured on a card."""
SYNCHRONISATION_US = 20.0
"""Time that a card waits when the host reads a value before it launches more, in microseconds. Assumed, likewise."""


@dataclasses.dataclass(frozen=True)
class Card:
    """One kind of GPU, by its data sheet.

    Attributes:
      name: as the driver calls it.
      capability: compute capability (major, minor).
      cores: streaming multiprocessors.
      lanes: float32 units of each.
      clock_ghz: clock (GHz).
      memory: bytes.
      bandwidth: of the memory, bytes per second.
      l2: cache, bytes.
      shared: memory of each multiprocessor that blocks share, bytes.
      shared_block: the most of it that one block may have, bytes.
      threads: of each multiprocessor.
    """

    name: str
    capability: tuple[int, int]
    cores: int
    lanes: int
    clock_ghz: float
    memory: int
    bandwidth: float
    l2: int
    shared: int
    shared_block: int
    threads: int

    @property
    def flops(self) -> float:
        """Float32 operations per second, outside of tensor cores. A multiplication with an addition counts as two."""
        return 2e9 * self.cores * self.lanes * self.clock_ghz

    def target_config(self) -> str:
        """The description that XLA compiles for: a ``GpuTargetConfigProto`` in text form."""
        major, minor = self.capability
        features = "ACCELERATED_FEATURES" if major == 9 else "NONE"
        return f"""
            gpu_device_info {{
              threads_per_block_limit: 1024
              threads_per_warp: 32
              shared_memory_per_block: 49152
              shared_memory_per_core: {self.shared}
              shared_memory_per_block_optin: {self.shared_block}
              threads_per_core_limit: {self.threads}
              core_count: {self.cores}
              fpus_per_core: {self.lanes}
              block_dim_limit_x: 2147483647
              block_dim_limit_y: 65535
              block_dim_limit_z: 65535
              thread_dim_limit_x: 1024
              thread_dim_limit_y: 1024
              thread_dim_limit_z: 64
              registers_per_core_limit: 65536
              registers_per_block_limit: 65536
              memory_bandwidth: {int(self.bandwidth)}
              l2_cache_size: {self.l2}
              clock_rate_ghz: {self.clock_ghz}
              device_memory_size: {self.memory}
              cuda_compute_capability {{ major: {major} minor: {minor} feature_extension: {features} }}
              device_address_bits: 64
              name: "{self.name}"
              driver_version: "13.0.0"
              runtime_version: "12.9.0"
              compile_time_toolkit_version: "12.9.0"
              dnn_version: "9.10.0"
            }}
            platform_name: "CUDA"
            dnn_version_info {{ major: 9 minor: 10 patch: 0 }}
            device_description_str: "{self.name}"
            """


CARDS = {
    "H100": Card(
        name="NVIDIA H100 80GB HBM3",
        capability=(9, 0),
        cores=132,
        lanes=128,
        clock_ghz=1.98,
        memory=84_942_979_072,
        bandwidth=3.352e12,
        l2=52_428_800,
        shared=233_472,
        shared_block=232_448,
        threads=2048,
    ),
    "H200": Card(
        name="NVIDIA H200",
        capability=(9, 0),
        cores=132,
        lanes=128,
        clock_ghz=1.98,
        memory=151_397_597_184,
        bandwidth=4.8e12,
        l2=52_428_800,
        shared=233_472,
        shared_block=232_448,
        threads=2048,
    ),
    "A100": Card(
        name="NVIDIA A100-SXM4-80GB",
        capability=(8, 0),
        cores=108,
        lanes=64,
        clock_ghz=1.41,
        memory=85_100_068_864,
        bandwidth=2.039e12,
        l2=41_943_040,
        shared=167_936,
        shared_block=166_912,
        threads=2048,
    ),
    "RTX4090": Card(
        name="NVIDIA GeForce RTX 4090",
        capability=(8, 9),
        cores=128,
        lanes=128,
        clock_ghz=2.52,
        memory=25_757_220_864,
        bandwidth=1.008e12,
        l2=75_497_472,
        shared=102_400,
        shared_block=101_376,
        threads=1536,
    ),
}
"""By the name on the command line. Sources: NVIDIA's data sheets, and the descriptions that XLA's own repository has."""
