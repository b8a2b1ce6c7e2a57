// Whether the API can listen where it is told to: asked before anything is started, so that nothing must be undone.

import { createServer } from 'node:net'

/** @throws Error that says what to do. */
export function requireFree({ host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', (error) => reject(explained(error, host, port)))
    probe.listen(port, host, () => probe.close(() => resolve()))
  })
}

export function explained(error: NodeJS.ErrnoException, host: string, port: number): Error {
  const where = `${host.includes(':') ? `[${host}]` : host}:${port}`
  switch (error.code) {
    case 'EADDRINUSE':
      return new Error(
        `${where} is in use by another program ('ss -ltnp sport = :${port}' names it): stop that, or choose another port with --listen ${where.replace(/\d+$/, 'PORT')}`,
        { cause: error },
      )
    case 'EADDRNOTAVAIL':
      return new Error(
        `this machine has no address ${host} ('ip address' lists them): choose one of them with --listen`,
        {
          cause: error,
        },
      )
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new Error(
        `${host} is no address of this machine: write --listen ADDRESS:PORT, for example 127.0.0.1:6443`,
        {
          cause: error,
        },
      )
    default:
      return new Error(`cannot listen on ${where}: ${error.message}`, { cause: error })
  }
}
