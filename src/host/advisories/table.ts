// Holes of the programs that hold workloads apart, and the versions that have none of them. Facts: the projects' security
// advisories (fixed versions of each release line) and Debian's changelogs (fixed revisions of what Debian patches itself).

export interface Hole {
  /** "CVE-2024-21626" */
  cve: string
  /** What a hostile workload can do, as a clause. */
  means: string
  /** The first fixed version of each release line; whatever is newer than the last is fixed, too. */
  fixed: string[]
  /** By the version that Debian patches ("1.1.5+ds1"): the first fixed update ("2" of deb12u2); 'none' while there is none. */
  debian?: Record<string, number | 'none'>
  /** True: no workload is placed beside it. False: there is no fixed package for a supported Debian; it is only told. */
  refused: boolean
}

export interface GuardedProgram {
  program: string
  remedy: string
  holes: Hole[]
}

export const guardedPrograms: GuardedProgram[] = [
  {
    program: 'runc',
    remedy: "update it (apt-get install --only-upgrade runc), or install the project's latest release",
    holes: [
      {
        cve: 'CVE-2024-21626',
        means: "an image or an exec can take a directory of the machine as its own and leave the container's root",
        fixed: ['1.1.12'],
        debian: { '1.1.5+ds1': 1 },
        refused: true,
      },
      {
        cve: 'CVE-2025-31133, CVE-2025-52565, CVE-2025-52881',
        means:
          'a container that starts beside a hostile one with a shared volume can write to files of the machine in /proc',
        fixed: ['1.2.8', '1.3.3'],
        debian: { '1.1.5+ds1': 'none' },
        refused: false,
      },
    ],
  },
  {
    program: 'containerd',
    remedy: "update it (apt-get install --only-upgrade containerd), or install the project's latest release",
    holes: [
      {
        cve: 'CVE-2024-40635',
        means: 'an image with a huge user number runs as root',
        fixed: ['1.6.38', '1.7.27', '2.0.4'],
        debian: { '1.6.20~ds1': 2 },
        refused: true,
      },
      {
        cve: 'CVE-2025-64329',
        means: 'attaching to a container again and again uses up the memory of the machine',
        fixed: ['1.7.29', '2.0.7', '2.1.5', '2.2.0'],
        debian: { '1.6.20~ds1': 3 },
        refused: false,
      },
    ],
  },
  {
    program: 'qemu-system-x86_64',
    remedy: 'update it (apt-get install --only-upgrade qemu-system-x86 qemu-utils)',
    holes: [
      {
        cve: 'CVE-2024-3446',
        means: 'a guest can make a virtio device of its QEMU use memory that was freed, and run code on the machine',
        fixed: ['7.2.11', '8.2.3', '9.0.0'],
        refused: true,
      },
      {
        cve: 'CVE-2024-4467',
        means: "a disk image can name files of the machine as its data, and they are read with QEMU's rights",
        fixed: ['7.2.13', '8.2.6', '9.0.2', '9.1.0'],
        refused: true,
      },
    ],
  },
]
