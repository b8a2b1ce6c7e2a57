// How a client reaches a server: one function. In the same process it is a call into the API server; over the network
// it is HTTPS (client/https.ts). Knows no server.

import type { ApiRequest, ApiResponse } from '../api/exchange.ts'

export type Transport = (request: ApiRequest) => Promise<ApiResponse>
