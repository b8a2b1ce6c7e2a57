// Addresses that mean the machine that asks: its loopback, and the link-local ones where clouds keep their secrets. Pure.

const loopback =
  /^(localhost|.*\.localhost|127(\.\d{1,3}){3}|0(\.\d{1,3}){3}|::1?|::ffff:(127|0)\..*|::ffff:7f.*|::ffff:0:.*)$/i
const linkLocal = /^(169\.254(\.\d{1,3}){2}|fe[89ab].*:.*|::ffff:169\.254\..*|::ffff:a9fe:.*)$/i

/** The URL says itself that it means this machine. */
export function namesThisMachine({ hostname }: URL): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  return loopback.test(host) || linkLocal.test(host)
}
