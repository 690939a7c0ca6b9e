// Every reply bears the date of its own moment.
"use strict";
const { ServerResponse } = require("http");
const { writeHead } = ServerResponse.prototype;
ServerResponse.prototype.writeHead = function (...head) {
  if (!this.hasHeader("date")) {
    this.setHeader("Date", new Date().toUTCString());
  }
  return writeHead.apply(this, head);
};
