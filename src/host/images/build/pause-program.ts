// The process that holds a Pod's namespaces open: a static x86-64 ELF file of a few hundred bytes, written here byte by
// byte, because it costs memory once per Pod (one page of code and a stack) and Debian has no such package.

/**
 * Blocks all signals and waits for them: a dead child (the Pod's orphans when it shares a process namespace) is
 * reaped, SIGTERM and SIGINT end the process at once. Linux x86-64 system calls: 14 rt_sigprocmask, 128
 * rt_sigtimedwait, 61 wait4, 60 exit.
 */
// biome-ignore format: one instruction per line
const code = [
  0x6a, 0xff,                               // push  -1              the signal set: all
  0x48, 0x89, 0xe6,                         // mov   rsi, rsp
  0x31, 0xff,                               // xor   edi, edi        SIG_BLOCK
  0x31, 0xd2,                               // xor   edx, edx
  0x6a, 0x08, 0x41, 0x5a,                   // push 8; pop r10       size of the set
  0x6a, 0x0e, 0x58,                         // push 14; pop rax      rt_sigprocmask
  0x0f, 0x05,                               // syscall
                                            // wait:
  0x48, 0x89, 0xe7,                         // mov   rdi, rsp
  0x31, 0xf6,                               // xor   esi, esi        no details wanted
  0x31, 0xd2,                               // xor   edx, edx        no time limit
  0x6a, 0x08, 0x41, 0x5a,                   // push 8; pop r10
  0xb8, 0x80, 0x00, 0x00, 0x00,             // mov   eax, 128        rt_sigtimedwait
  0x0f, 0x05,                               // syscall
  0x83, 0xf8, 0x11,                         // cmp   eax, 17         SIGCHLD
  0x74, 0x10,                               // je    reap
  0x83, 0xf8, 0x0f,                         // cmp   eax, 15         SIGTERM
  0x74, 0x05,                               // je    exit
  0x83, 0xf8, 0x02,                         // cmp   eax, 2          SIGINT
  0x75, 0xdf,                               // jne   wait
                                            // exit:
  0x31, 0xff,                               // xor   edi, edi
  0xb0, 0x3c,                               // mov   al, 60          exit (eax is a signal number: below 256)
  0x0f, 0x05,                               // syscall
                                            // reap:
  0x6a, 0xff, 0x5f,                         // push -1; pop rdi      any child
  0x31, 0xf6,                               // xor   esi, esi
  0x6a, 0x01, 0x5a,                         // push 1; pop rdx       WNOHANG
  0x45, 0x31, 0xd2,                         // xor   r10d, r10d
  0x6a, 0x3d, 0x58,                         // push 61; pop rax      wait4
  0x0f, 0x05,                               // syscall
  0x85, 0xc0,                               // test  eax, eax
  0x7f, 0xec,                               // jg    reap            until no dead child is left
  0xeb, 0xc3,                               // jmp   wait
]

const headerSize = 64
const programHeaderSize = 56
const loadAddress = 0x400000n

export const pauseProgram = (): Buffer => staticProgram(code)

/** An executable of nothing but these instructions. */
export function staticProgram(code: readonly number[]): Buffer {
  const start = headerSize + 2 * programHeaderSize
  const size = start + code.length
  const elf = Buffer.alloc(size)
  elf.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1], 0)
  elf.writeUInt16LE(2, 16) // ET_EXEC
  elf.writeUInt16LE(62, 18) // x86-64
  elf.writeUInt32LE(1, 20)
  elf.writeBigUInt64LE(loadAddress + BigInt(start), 24)
  elf.writeBigUInt64LE(BigInt(headerSize), 32)
  elf.writeUInt16LE(headerSize, 52)
  elf.writeUInt16LE(programHeaderSize, 54)
  elf.writeUInt16LE(2, 56)
  writeSegment(elf, headerSize, 1, 5, loadAddress, size) // PT_LOAD, readable and executable
  writeSegment(elf, headerSize + programHeaderSize, 0x6474e551, 6, 0n, 0) // PT_GNU_STACK, not executable
  elf.set(code, start)
  return elf
}

function writeSegment(elf: Buffer, at: number, type: number, flags: number, address: bigint, size: number): void {
  elf.writeUInt32LE(type, at)
  elf.writeUInt32LE(flags, at + 4)
  elf.writeBigUInt64LE(address, at + 16)
  elf.writeBigUInt64LE(address, at + 24)
  elf.writeBigUInt64LE(BigInt(size), at + 32)
  elf.writeBigUInt64LE(BigInt(size), at + 40)
  elf.writeBigUInt64LE(0x1000n, at + 48)
}
