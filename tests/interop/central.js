// A strict central system on the npm library ocpp-rpc, steered by JSON lines.
//
//   in   {"id": 1, "method": "Reset", "params": {...}}     make a call
//   out  {"kind": "listening", "port": 40001}
//        {"kind": "connected" | "disconnected"}
//        {"kind": "call", "method": "StatusNotification", "params": {...}}
//        {"kind": "answer", "id": 1, "result": {...}} or {"kind": "answer", "id": 1, "error": "FormationViolation: …"}
//        {"kind": "strict", "error": "…"}                   the schema was broken, by either side

const readline = require('node:readline');
const { RPCServer, createRPCError } = require('ocpp-rpc');

const say = (event) => process.stdout.write(JSON.stringify(event) + '\n');
const now = () => new Date().toISOString();
let nextTransaction = 1;
let charger = null;

const answers = {
    BootNotification: () => ({ status: 'Accepted', interval: 60, currentTime: now() }),
    Heartbeat: () => ({ currentTime: now() }),
    Authorize: () => ({ idTagInfo: { status: 'Accepted' } }),
    StartTransaction: () => ({ transactionId: nextTransaction++, idTagInfo: { status: 'Accepted' } }),
    StopTransaction: () => ({}),
    MeterValues: () => ({}),
    StatusNotification: () => ({}),
    DataTransfer: () => ({ status: 'Accepted' }),
    DiagnosticsStatusNotification: () => ({}),
    FirmwareStatusNotification: () => ({}),
};

const server = new RPCServer({ protocols: ['ocpp1.6'], strictMode: true });

server.auth((accept) => accept());

server.on('client', (client) => {
    charger = client;
    say({ kind: 'connected', identity: client.identity });
    client.on('strictValidationFailure', ({ error }) => say({ kind: 'strict', error: String(error) }));
    client.on('disconnect', () => say({ kind: 'disconnected' }));
    client.handle(({ method, params }) => {
        say({ kind: 'call', method, params });
        if (!(method in answers)) {
            throw createRPCError('NotImplemented');
        }
        return answers[method]();
    });
});

readline.createInterface({ input: process.stdin })
    .on('line', async (line) => {
        const { id, method, params } = JSON.parse(line);
        try {
            say({ kind: 'answer', id, result: await charger.call(method, params) });
        } catch (error) {
            say({ kind: 'answer', id, error: `${error.rpcErrorCode || error.name}: ${error.message}` });
        }
    })
    .on('close', () => process.exit(0));

server.listen(0, '127.0.0.1').then((http) => say({ kind: 'listening', port: http.address().port }));
