#!/usr/bin/env node
'use strict';
const http = require('http');
const render = require('tiny-template');
const version = require('./package.json').version;

const page = 'noticeboard {{version}} of release {{release}}\n{{notices}}';
const notices = [];

http.createServer((((request, response) => {
  if (request.method === 'POST' && request.url === '/notices') {
    let text = '';
    request.on('data', (piece) => { text += piece; });
    request.on('end', () => { notices.push(text); response.statusCode = 201; response.end('noted\n'); });
    return;
  }
  response.setHeader('Content-Type', 'text/plain');
  response.end(render(page, { version, release: process.env.SILVER_RELEASE, notices: notices.join('\n') }));
}).listen(process.env.PORT, '127.0.0.1', () => console.log('listening on', process.env.PORT));
