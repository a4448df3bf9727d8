"use strict";
// Access with API_TOKEN, and the answers for errors of the auth state. Health checks and metrics are open, and name nobody.
var __decorate = (this && this.__decorate) || function (decorators, target, key, desc) {
    var c = arguments.length, r = c < 3 ? target : desc === null ? desc = Object.getOwnPropertyDescriptor(target, key) : desc, d;
    if (typeof Reflect === "object" && typeof Reflect.decorate === "function") r = Reflect.decorate(decorators, target, key, desc);
    else for (var i = decorators.length - 1; i >= 0; i--) if (d = decorators[i]) r = (c < 3 ? d(r) : c > 3 ? d(target, key, r) : d(target, key)) || r;
    return c > 3 && r && Object.defineProperty(target, key, r), r;
};
Object.defineProperty(exports, "__esModule", { value: true });
exports.HybridAuthErrorFilter = exports.TokenGuard = void 0;
const common_1 = require("@nestjs/common");
const baileys_hybrid_auth_1 = require("baileys-hybrid-auth");
const node_crypto_1 = require("node:crypto");
const config_1 = require("./config");
const OPEN = ['/health', '/health/r2', '/metrics'];
const digest = (text) => (0, node_crypto_1.createHash)('sha256').update(text).digest();
let TokenGuard = class TokenGuard {
    canActivate(context) {
        const { path, headers } = context.switchToHttp().getRequest();
        if (config_1.config.apiToken === null || OPEN.includes(path))
            return true;
        const [, token = ''] = /^Bearer (.+)$/.exec(headers.authorization ?? '') ?? [];
        if ((0, node_crypto_1.timingSafeEqual)(digest(token), digest(config_1.config.apiToken)))
            return true;
        throw new common_1.UnauthorizedException('send the API_TOKEN as `Authorization: Bearer …`');
    }
};
exports.TokenGuard = TokenGuard;
exports.TokenGuard = TokenGuard = __decorate([
    (0, common_1.Injectable)()
], TokenGuard);
const STATUS = {
    INVALID_OPTION: 400,
    NOT_FOUND: 404,
    DELETED: 409,
    ALREADY_OPEN: 409,
    OWNED_ELSEWHERE: 409,
    FENCED: 409,
    CLOSED: 409,
    REMOTE_UNAVAILABLE: 503,
    REMOTE_REFUSED: 503,
    LOCAL_UNAVAILABLE: 503
};
let HybridAuthErrorFilter = class HybridAuthErrorFilter {
    catch({ code, message }, host) {
        const statusCode = STATUS[code] ?? 500;
        host.switchToHttp().getResponse().status(statusCode).json({ statusCode, code, message });
    }
};
exports.HybridAuthErrorFilter = HybridAuthErrorFilter;
exports.HybridAuthErrorFilter = HybridAuthErrorFilter = __decorate([
    (0, common_1.Catch)(baileys_hybrid_auth_1.HybridAuthError)
], HybridAuthErrorFilter);
