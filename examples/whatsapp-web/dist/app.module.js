"use strict";
var __decorate = (this && this.__decorate) || function (decorators, target, key, desc) {
    var c = arguments.length, r = c < 3 ? target : desc === null ? desc = Object.getOwnPropertyDescriptor(target, key) : desc, d;
    if (typeof Reflect === "object" && typeof Reflect.decorate === "function") r = Reflect.decorate(decorators, target, key, desc);
    else for (var i = decorators.length - 1; i >= 0; i--) if (d = decorators[i]) r = (c < 3 ? d(r) : c > 3 ? d(target, key, r) : d(target, key)) || r;
    return c > 3 && r && Object.defineProperty(target, key, r), r;
};
Object.defineProperty(exports, "__esModule", { value: true });
exports.AppModule = void 0;
const common_1 = require("@nestjs/common");
const core_1 = require("@nestjs/core");
const nestjs_1 = require("baileys-hybrid-auth/nestjs");
const access_1 = require("./access");
const config_1 = require("./config");
const health_controller_1 = require("./health.controller");
const sessions_controller_1 = require("./sessions.controller");
const sessions_service_1 = require("./sessions.service");
let AppModule = class AppModule {
};
exports.AppModule = AppModule;
exports.AppModule = AppModule = __decorate([
    (0, common_1.Module)({
        imports: [nestjs_1.HybridAuthModule.forRoot({ ...config_1.config.tryOut, shutdownTimeoutMs: 20_000 })],
        controllers: [sessions_controller_1.SessionsController, health_controller_1.HealthController],
        providers: [sessions_service_1.SessionsService, { provide: core_1.APP_GUARD, useClass: access_1.TokenGuard }, { provide: core_1.APP_FILTER, useClass: access_1.HybridAuthErrorFilter }]
    })
], AppModule);
