// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package io.kuda.hdfs;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;

/**
 * What a test may do to the cluster: POST /failover, /datanode/stop?N,
 * /datanode/start?N, /safemode?on, /safemode?off. An answer means it is done.
 */
final class Control {
  private final Server server;
  private final HttpServer http;

  Control(Server server, String address) throws IOException {
    this.server = server;
    http = HttpServer.create(new InetSocketAddress(InetAddress.getByName(address), 0), 0);
    http.createContext("/", this::serve);
    http.start();
  }

  String url() {
    return "http://" + http.getAddress().getHostString() + ":" + http.getAddress().getPort();
  }

  private void serve(HttpExchange exchange) throws IOException {
    String query = exchange.getRequestURI().getQuery();
    int status = 200;
    String text = "done\n";
    try {
      switch (exchange.getRequestURI().getPath()) {
        case "/failover" -> server.failover();
        case "/datanode/stop" -> server.stopDatanode(Integer.parseInt(query));
        case "/datanode/start" -> server.startDatanode(Integer.parseInt(query));
        case "/safemode" -> server.safeMode("on".equals(query));
        default -> {
          status = 404;
          text = "no such command\n";
        }
      }
    } catch (Exception e) {
      status = 500;
      text = e + "\n";
    }
    byte[] body = text.getBytes(StandardCharsets.UTF_8);
    exchange.sendResponseHeaders(status, body.length);
    exchange.getResponseBody().write(body);
    exchange.close();
  }
}
