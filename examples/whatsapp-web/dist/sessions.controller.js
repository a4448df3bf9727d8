"use strict";
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
exports.SessionsController = void 0;
const common_1 = require("@nestjs/common");
const sessions_service_1 = require("./sessions.service");
/** A client id of whatsapp-web.js, and no path. */
class ClientId {
    transform(value) {
        if (!/^[-_\w]{1,60}$/.test(value))
            throw new common_1.BadRequestException('an id has 1 to 60 letters, digits, `-` and `_`');
        return value;
    }
}
let SessionsController = class SessionsController {
    sessions;
    constructor(sessions) {
        this.sessions = sessions;
    }
    list() {
        return this.sessions.list();
    }
    /** Answers when all browsers are started: minutes, for many sessions. */
    restore() {
        return this.sessions.restoreAll();
    }
    /** Answers when the browser shows WhatsApp Web; ask for the list and the code then. */
    start(id) {
        return this.sessions.start(id);
    }
    /** The text of the QR code. */
    qr(id) {
        const { qr } = this.sessions.find(id);
        if (qr === null)
            throw new common_1.NotFoundException('no code is waiting to be scanned');
        return { qr };
    }
    /** Answers when a new machine could restore what the browser has written. */
    backup(id) {
        const { profile } = this.sessions.find(id);
        if (profile === null)
            throw new common_1.NotFoundException('this session is not open here');
        return profile.backup();
    }
    stop(id) {
        return this.sessions.find(id).stop();
    }
    /** Unlinks the device and deletes the session everywhere. */
    remove(id) {
        return this.sessions.remove(id);
    }
};
exports.SessionsController = SessionsController;
__decorate([
    (0, common_1.Get)(),
    __metadata("design:type", Function),
    __metadata("design:paramtypes", []),
    __metadata("design:returntype", void 0)
], SessionsController.prototype, "list", null);
__decorate([
    (0, common_1.Post)('restore'),
    (0, common_1.HttpCode)(200),
    __metadata("design:type", Function),
    __metadata("design:paramtypes", []),
    __metadata("design:returntype", void 0)
], SessionsController.prototype, "restore", null);
__decorate([
    (0, common_1.Post)(':id'),
    (0, common_1.HttpCode)(202),
    __param(0, (0, common_1.Param)('id', ClientId)),
    __metadata("design:type", Function),
    __metadata("design:paramtypes", [String]),
    __metadata("design:returntype", void 0)
], SessionsController.prototype, "start", null);
__decorate([
    (0, common_1.Get)(':id/qr'),
    __param(0, (0, common_1.Param)('id', ClientId)),
    __metadata("design:type", Function),
    __metadata("design:paramtypes", [String]),
    __metadata("design:returntype", void 0)
], SessionsController.prototype, "qr", null);
__decorate([
    (0, common_1.Post)(':id/backup'),
    (0, common_1.HttpCode)(200),
    __param(0, (0, common_1.Param)('id', ClientId)),
    __metadata("design:type", Function),
    __metadata("design:paramtypes", [String]),
    __metadata("design:returntype", void 0)
], SessionsController.prototype, "backup", null);
__decorate([
    (0, common_1.Post)(':id/stop'),
    (0, common_1.HttpCode)(204),
    __param(0, (0, common_1.Param)('id', ClientId)),
    __metadata("design:type", Function),
    __metadata("design:paramtypes", [String]),
    __metadata("design:returntype", void 0)
], SessionsController.prototype, "stop", null);
__decorate([
    (0, common_1.Delete)(':id'),
    (0, common_1.HttpCode)(204),
    __param(0, (0, common_1.Param)('id', ClientId)),
    __metadata("design:type", Function),
    __metadata("design:paramtypes", [String]),
    __metadata("design:returntype", void 0)
], SessionsController.prototype, "remove", null);
exports.SessionsController = SessionsController = __decorate([
    (0, common_1.Controller)('sessions'),
    __metadata("design:paramtypes", [sessions_service_1.SessionsService])
], SessionsController);
