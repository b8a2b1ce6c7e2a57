// What every dnsmasq of a machine's namespace has in its configuration: DHCP alone, on one interface, for known guests only.

export const dhcpBase = (device: string, pidFile: string): string[] => [
  'port=0',
  'no-ping',
  'leasefile-ro',
  'quiet-dhcp',
  'user=nobody',
  'group=nogroup',
  `pid-file=${pidFile}`,
  `interface=${device}`,
  'except-interface=lo',
  'bind-interfaces',
  'dhcp-authoritative',
  'dhcp-ignore=tag:!known',
]
