// Rules for the networks and interfaces of a VirtualMachineInstance (pkg/network/admitter, KubeVirt 1.9).

import type { FieldError } from '../../api/errors.ts'
import { duplicateValue, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { checkPort } from '../rules/names.ts'

const models = ['e1000', 'e1000e', 'ne2k_pci', 'pcnet', 'rtl8139', 'virtio']
const bindings = ['bridge', 'masquerade', 'sriov', 'slirp', 'macvtap', 'passt', 'passtBinding', 'binding']
const macAddress = /^([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$/

export function validateNetwork(spec: any, field: string): FieldError[] {
  const networks: any[] = spec.networks ?? []
  const interfaces: any[] = spec.domain.devices?.interfaces ?? []
  const errors = validateNetworks(networks, `${field}.networks`)
  const parent = `${field}.domain.devices.interfaces`
  const names = new Set(networks.map((network) => network?.name))
  const used = new Set<string>()
  for (const [index, one] of interfaces.entries()) {
    const at = `${parent}[${index}]`
    if (!one?.name) {
      errors.push(requiredValue(`${at}.name`))
      continue
    }
    if (!/^[A-Za-z0-9-_]+$/.test(one.name))
      errors.push(
        invalidValue(
          `${at}.name`,
          one.name,
          'Network interface name can only contain alphabetical characters, numbers, dashes (-) or underscores (_)',
        ),
      )
    if (!names.has(one.name)) errors.push(invalidValue(`${at}.name`, one.name, `${at}.name '${one.name}' not found.`))
    if (used.has(one.name)) errors.push(duplicateValue(`${at}.name`, one.name))
    used.add(one.name)
    errors.push(...validateInterface(one, at))
  }
  for (const [index, network] of networks.entries()) {
    const at = `${field}.networks[${index}].name`
    if (network?.name && !used.has(network.name)) errors.push(requiredValue(at, `${at} '${network.name}' not found.`))
  }
  return [...errors, ...validateSources(networks, interfaces, field)]
}

/** What only networks and interfaces together can say. */
function validateSources(networks: any[], interfaces: any[], field: string): FieldError[] {
  const errors: FieldError[] = []
  if (networks.filter((network) => network?.pod).length > 1)
    errors.push(
      invalidValue(
        `${field}.interfaces`,
        'pod',
        `more than one interface is connected to a pod network in ${field}.interfaces`,
      ),
    )
  for (const [index, network] of networks.entries())
    if (network?.multus && !network.multus.networkName)
      errors.push(requiredValue(`${field}.networks[${index}]`, 'CNI delegating plugin must have a networkName'))
  for (const [index, one] of interfaces.entries()) {
    const network = networks.find((network) => network?.name === one?.name)
    if (one?.masquerade && network && !network.pod)
      errors.push(
        invalidValue(
          `${field}.domain.devices.interfaces[${index}].name`,
          one.name,
          'Masquerade interface only implemented with pod network',
        ),
      )
    if (one?.state === 'absent' && network?.pod)
      errors.push(
        invalidValue(
          `${field}.domain.devices.interfaces[${index}].state`,
          one.state,
          `"${one.name}" interface's state "absent" is not supported on default networks`,
        ),
      )
  }
  return errors
}

function validateNetworks(networks: any[], field: string): FieldError[] {
  const errors: FieldError[] = []
  const names = new Set<string>()
  for (const [index, network] of networks.entries()) {
    const at = `${field}[${index}]`
    if (!network?.name) errors.push(requiredValue(`${at}.name`))
    else if (names.has(network.name)) errors.push(duplicateValue(`${at}.name`, network.name))
    names.add(network?.name)
    const sources = Object.keys(network ?? {}).filter((key) => key !== 'name')
    if (sources.length === 0) errors.push(requiredValue(at, 'should have a network type'))
    if (sources.length > 1) errors.push(requiredValue(at, 'should have only one network type'))
  }
  return errors
}

function validateInterface(one: any, at: string): FieldError[] {
  const errors: FieldError[] = []
  const given = bindings.filter((binding) => one[binding])
  if (given.length > 1) errors.push(invalidValue(at, given.join(', '), 'only one binding method may be set'))
  if (given.length === 0) errors.push(requiredValue(at, 'a binding method must be set: masquerade or bridge'))
  if (one.model && !models.includes(one.model)) errors.push(notSupported(`${at}.model`, one.model, models))
  if (one.macAddress && !macAddress.test(one.macAddress))
    errors.push(
      invalidValue(
        `${at}.macAddress`,
        one.macAddress,
        `interface ${at}.name has malformed MAC address (${one.macAddress}).`,
      ),
    )
  if (one.state && !['absent', 'up', 'down'].includes(one.state))
    errors.push(
      invalidValue(`${at}.state`, one.state, `logical ${one.name} interface state value is unsupported: ${one.state}`),
    )
  if (one.state === 'absent' && !one.bridge)
    errors.push(
      invalidValue(
        `${at}.state`,
        one.state,
        `"${one.name}" interface's state "absent" is supported only for bridge binding`,
      ),
    )
  const names = new Set<string>()
  for (const [index, port] of (one.ports ?? []).entries()) {
    const place = `${at}.ports[${index}]`
    errors.push(...checkPort(`${place}.port`, port?.port))
    if (port?.protocol && !['TCP', 'UDP'].includes(port.protocol))
      errors.push(notSupported(`${place}.protocol`, port.protocol, ['TCP', 'UDP']))
    if (port?.name && names.has(port.name)) errors.push(duplicateValue(`${place}.name`, port.name))
    if (port?.name) names.add(port.name)
  }
  return errors
}
