"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
require("reflect-metadata");
const common_1 = require("@nestjs/common");
const core_1 = require("@nestjs/core");
const app_module_1 = require("./app.module");
const config_1 = require("./config");
async function main() {
    const logger = new common_1.Logger('Main');
    const app = await core_1.NestFactory.create(app_module_1.AppModule);
    // On SIGTERM and SIGINT everything is stored and released. Without this call, a signal ends the process before.
    app.enableShutdownHooks();
    await app.listen(config_1.config.port, config_1.config.host);
    logger.log(`listening on ${await app.getUrl()}, ready after ${Math.round(performance.now())} ms`);
    if (config_1.config.apiToken === null)
        logger.warn('API_TOKEN is not set: only this machine is answered, and anybody on it');
    if ('store' in config_1.config.tryOut)
        logger.warn('no store is set: a directory is the bucket, unencrypted. Good for trying out, and for nothing else');
}
void main();
