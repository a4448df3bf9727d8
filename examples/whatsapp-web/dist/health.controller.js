"use strict";
// For platforms and monitors. These answers name nobody.
//
// `/health` answers 200 while the process answers: let platforms restart on it. `/health/r2` is 503 while the store is away or backups
// fail: alert on it. A restart would not bring the store back, and may lose the disk.
var __decorate = (this && this.__decorate) || function (decorators, target, key, desc) {
    var c = arguments.length, r = c < 3 ? target : desc === null ? desc = Object.getOwnPropertyDescriptor(target, key) : desc, d;
    if (typeof Reflect === "object" && typeof Reflect.decorate === "function") r = Reflect.decorate(decorators, target, key, desc);
    else for (var i = decorators.length - 1; i >= 0; i--) if (d = decorators[i]) r = (c < 3 ? d(r) : c > 3 ? d(target, key, r) : d(target, key)) || r;
    return c > 3 && r && Object.defineProperty(target, key, r), r;
};
var __metadata = (this && this.__metadata) || function (k, v) {
    if (typeof Reflect === "object" && typeof Reflect.metadata === "function") return Reflect.metadata(k, v);
};
var __param = (this && this.__param) || function (paramIndex, decorator) {
    return function (target, key) { decorator(target, key, paramIndex); }
};
Object.defineProperty(exports, "__esModule", { value: true });
exports.HealthController = void 0;
const common_1 = require("@nestjs/common");
const nestjs_1 = require("baileys-hybrid-auth/nestjs");
const sessions_service_1 = require("./sessions.service");
/** The store is asked once in this time, however many ask here: each look makes some requests. */
const KEPT_MS = 30_000;
/** Checks of the store that a backup needs. */
const NEEDED = ['reachable', 'write', 'list', 'read'];
let HealthController = class HealthController {
    auth;
    sessions;
    #looked = 0;
    #look = null;
    constructor(auth, sessions) {
        this.auth = auth;
        this.sessions = sessions;
    }
    health() {
        return this.auth.health();
    }
    async store(response) {
        const now = Date.now();
        if (this.#look === null || now - this.#looked > KEPT_MS) {
            this.#looked = now;
            this.#look = this.#ask();
        }
        const store = await this.#look;
        const { failing, neverBackedUp, oldestBackupMs } = this.auth.health().profiles;
        const isWell = store.reachable && store.writable && failing === 0;
        // A bad answer is not kept: the next one may be better.
        if (!isWell)
            this.#look = null;
        response.status(isWell ? common_1.HttpStatus.OK : common_1.HttpStatus.SERVICE_UNAVAILABLE);
        const backups = this.sessions.running().map(({ state, profile }) => ({ state, lastBackupAt: dateOf(profile?.generation()?.at) }));
        return { status: isWell ? 'ok' : 'unavailable', ...store, backups, failing, neverBackedUp, oldestBackupMs };
    }
    metrics() {
        return this.auth.metrics();
    }
    async #ask() {
        const checks = await this.auth.doctor();
        const isOk = (name) => checks.some((check) => check.name === name && check.outcome === 'ok');
        const problems = checks.filter(({ name, outcome }) => NEEDED.includes(name) && outcome !== 'ok').map(({ name, message }) => `${name}: ${message}`);
        return { reachable: isOk('reachable'), writable: isOk('write'), problems };
    }
};
exports.HealthController = HealthController;
__decorate([
    (0, common_1.Get)('health'),
    __metadata("design:type", Function),
    __metadata("design:paramtypes", []),
    __metadata("design:returntype", void 0)
], HealthController.prototype, "health", null);
__decorate([
    (0, common_1.Get)('health/r2'),
    __param(0, (0, common_1.Res)({ passthrough: true })),
    __metadata("design:type", Function),
    __metadata("design:paramtypes", [Object]),
    __metadata("design:returntype", Promise)
], HealthController.prototype, "store", null);
__decorate([
    (0, common_1.Get)('metrics'),
    (0, common_1.Header)('content-type', 'text/plain; version=0.0.4'),
    __metadata("design:type", Function),
    __metadata("design:paramtypes", []),
    __metadata("design:returntype", void 0)
], HealthController.prototype, "metrics", null);
exports.HealthController = HealthController = __decorate([
    (0, common_1.Controller)(),
    __metadata("design:paramtypes", [nestjs_1.HybridAuthService, sessions_service_1.SessionsService])
], HealthController);
const dateOf = (at) => (at === undefined ? null : new Date(at));
