"use strict";
// All numbers of this service. The store is the list of them: a blank machine knows what to restore. Put your own table in its place
// if sessions belong to customers, or if one is to stay stopped over a restart.
var __decorate = (this && this.__decorate) || function (decorators, target, key, desc) {
    var c = arguments.length, r = c < 3 ? target : desc === null ? desc = Object.getOwnPropertyDescriptor(target, key) : desc, d;
    if (typeof Reflect === "object" && typeof Reflect.decorate === "function") r = Reflect.decorate(decorators, target, key, desc);
    else for (var i = decorators.length - 1; i >= 0; i--) if (d = decorators[i]) r = (c < 3 ? d(r) : c > 3 ? d(target, key, r) : d(target, key)) || r;
    return c > 3 && r && Object.defineProperty(target, key, r), r;
};
var __metadata = (this && this.__metadata) || function (k, v) {
    if (typeof Reflect === "object" && typeof Reflect.metadata === "function") return Reflect.metadata(k, v);
};
Object.defineProperty(exports, "__esModule", { value: true });
exports.SessionsService = void 0;
const common_1 = require("@nestjs/common");
const nestjs_1 = require("baileys-hybrid-auth/nestjs");
const config_1 = require("./config");
const session_1 = require("./session");
const PREFIX = 'whatsapp-web.js/';
let SessionsService = class SessionsService {
    auth;
    #sessions = new Map();
    #isStopping = false;
    constructor(auth) {
        this.auth = auth;
    }
    find(clientId) {
        const session = this.#sessions.get(clientId);
        if (session === undefined)
            throw new common_1.NotFoundException('this session is not running here');
        return session;
    }
    running() {
        return [...this.#sessions.values()];
    }
    async list() {
        const views = new Map(this.running().map((session) => [session.clientId, viewOf(session)]));
        for (const clientId of await this.#stored()) {
            if (!views.has(clientId))
                views.set(clientId, { clientId, state: 'not_here', qrWaiting: false, lastBackupAt: null, backupAgeMs: null, problem: null });
        }
        return [...views.values()];
    }
    /** Starts a session, a new one too. */
    async start(clientId) {
        const session = this.#of(clientId);
        await session.start({ pair: true });
        return viewOf(session);
    }
    async remove(clientId) {
        await this.#of(clientId).logOut();
        this.#sessions.delete(clientId);
    }
    /** Starts all sessions of the store, a few at a time. One that fails stops no other. */
    async restoreAll() {
        const waiting = await this.#stored();
        const restored = [];
        const failed = [];
        const worker = async () => {
            for (let clientId = waiting.shift(); clientId !== undefined && !this.#isStopping; clientId = waiting.shift()) {
                const id = clientId;
                await this.#of(id).start({ pair: false }).then(() => restored.push(id), ({ message }) => failed.push({ clientId: id, problem: message }));
            }
        };
        await Promise.all(Array.from({ length: config_1.config.restoreAtOnce }, worker));
        return { restored, failed };
    }
    /** In the background: the service answers while its browsers start. */
    onApplicationBootstrap() {
        if (process.env.RESTORE_ON_START !== 'false')
            void this.restoreAll().catch(() => { });
    }
    /** Before the module of the auth state releases what is left. */
    async onModuleDestroy() {
        this.#isStopping = true;
        await Promise.allSettled(this.running().map((session) => session.stop()));
    }
    #of(clientId) {
        const session = this.#sessions.get(clientId) ?? new session_1.Session(this.auth, clientId);
        this.#sessions.set(clientId, session);
        return session;
    }
    async #stored() {
        return (await this.auth.tenants()).filter((tenantId) => tenantId.startsWith(PREFIX)).map((tenantId) => tenantId.slice(PREFIX.length));
    }
};
exports.SessionsService = SessionsService;
exports.SessionsService = SessionsService = __decorate([
    (0, common_1.Injectable)(),
    __metadata("design:paramtypes", [nestjs_1.HybridAuthService])
], SessionsService);
function viewOf({ clientId, state, qr, problem, profile }) {
    const generation = profile?.generation() ?? null;
    const lastBackupAt = generation === null ? null : new Date(generation.at);
    return { clientId, state, qrWaiting: qr !== null, lastBackupAt, backupAgeMs: profile?.status().ageMs ?? null, problem };
}
