// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package io.kuda.hdfs;

import java.io.IOException;
import java.io.Reader;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermission;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.ha.HAServiceProtocol.RequestSource;
import org.apache.hadoop.ha.HAServiceProtocol.StateChangeRequestInfo;
import org.apache.hadoop.hdfs.DistributedFileSystem;
import org.apache.hadoop.hdfs.protocol.HdfsConstants.DatanodeReportType;
import org.apache.hadoop.hdfs.protocol.HdfsConstants.SafeModeAction;
import org.apache.hadoop.hdfs.server.datanode.DataNode;
import org.apache.hadoop.hdfs.server.namenode.NameNode;
import org.apache.hadoop.hdfs.server.namenode.ha.BootstrapStandby;
import org.apache.hadoop.metrics2.lib.DefaultMetricsSystem;
import org.apache.hadoop.security.UserGroupInformation;

/**
 * One or two namenodes and some datanodes in one process. The only argument is
 * a directory with server.properties: "address", "user", "datanodes", "ha",
 * perhaps "content", and Hadoop's own settings as "conf.NAME". Once all is
 * there and the content stored, ready.json appears in the directory.
 */
public final class Server {
  static final String SERVICE = "kuda";

  private final Path dir;
  private final Properties settings = new Properties();
  private final Configuration conf = new Configuration();
  private final String address;
  private final boolean ha;
  private final List<NameNode> namenodes = new ArrayList<>();
  private final List<Datanode> datanodes = new ArrayList<>();
  private final List<String> addresses = new ArrayList<>();
  private int active;

  /** A datanode, which can be stopped and started again with the data it had. */
  private static final class Datanode {
    Configuration conf;
    Path dir;
    DataNode node;
  }

  private Server(Path dir) throws IOException {
    this.dir = dir;
    try (Reader in = Files.newBufferedReader(dir.resolve("server.properties"))) {
      settings.load(in);
    }
    address = settings.getProperty("address");
    ha = Boolean.parseBoolean(settings.getProperty("ha"));
    for (String name : settings.stringPropertyNames()) {
      if (name.startsWith("conf.")) {
        conf.set(name.substring("conf.".length()), settings.getProperty(name));
      }
    }
  }

  public static void main(String[] args) throws Exception {
    try {
      new Server(Paths.get(args[0])).run();
    } catch (Throwable e) {
      e.printStackTrace();
      System.exit(1); // threads of half a cluster would keep the process
    }
  }

  private void run() throws Exception {
    DefaultMetricsSystem.setMiniClusterMode(true); // several servers, one process
    UserGroupInformation.setConfiguration(conf);
    configureNamenodes();
    startNamenodes();
    for (int i = 0; i < Integer.parseInt(settings.getProperty("datanodes")); i++) {
      Datanode d = new Datanode();
      d.dir = dir.resolve("datanode" + i);
      d.conf = new Configuration(conf);
      d.conf.set("dfs.datanode.data.dir", d.dir.toUri().toString());
      d.conf.set("dfs.datanode.address", address + ":0");
      d.conf.set("dfs.datanode.http.address", address + ":0");
      d.conf.set("dfs.datanode.ipc.address", address + ":0");
      Files.createDirectories(d.dir);
      datanodes.add(d);
      startDatanode(i);
    }
    try (DistributedFileSystem fs = (DistributedFileSystem) FileSystem.newInstance(conf)) {
      awaitDatanodes(fs);
      storeContent(fs);
    }
    Control control = new Control(this, address);
    publish(control.url());
  }

  private int freePort() throws IOException {
    try (ServerSocket s = new ServerSocket(0, 1, InetAddress.getByName(address))) {
      return s.getLocalPort();
    }
  }

  private void configureNamenodes() throws IOException {
    for (int i = 0; i < (ha ? 2 : 1); i++) {
      addresses.add(address + ":" + freePort());
    }
    if (!ha) {
      conf.set("fs.defaultFS", "hdfs://" + addresses.get(0));
      conf.set("dfs.namenode.rpc-address", addresses.get(0));
      conf.set("dfs.namenode.http-address", address + ":" + freePort());
      return;
    }
    conf.set("fs.defaultFS", "hdfs://" + SERVICE);
    conf.set("dfs.nameservices", SERVICE);
    conf.set("dfs.ha.namenodes." + SERVICE, "nn0,nn1");
    conf.set("dfs.namenode.shared.edits.dir", dir.resolve("edits").toUri().toString());
    conf.set("dfs.client.failover.proxy.provider." + SERVICE,
        "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider");
    for (int i = 0; i < 2; i++) {
      conf.set("dfs.namenode.rpc-address." + SERVICE + ".nn" + i, addresses.get(i));
      conf.set("dfs.namenode.http-address." + SERVICE + ".nn" + i, address + ":" + freePort());
    }
  }

  private void startNamenodes() throws Exception {
    for (int i = 0; i < addresses.size(); i++) {
      Configuration c = new Configuration(conf);
      c.set("dfs.namenode.name.dir", dir.resolve("namenode" + i).toUri().toString());
      if (ha) {
        c.set("dfs.ha.namenode.id", "nn" + i);
      }
      if (i == 0) {
        NameNode.format(new Configuration(c));
      } else if (BootstrapStandby.run(new String[] {"-force", "-nonInteractive"}, new Configuration(c)) != 0) {
        throw new IOException("the second namenode could not copy the first one's metadata");
      }
      namenodes.add(NameNode.createNameNode(new String[] {}, c));
      if (ha && i == 0) {
        transition(0);
      }
    }
  }

  private void transition(int to) throws IOException {
    StateChangeRequestInfo request = new StateChangeRequestInfo(RequestSource.REQUEST_BY_USER);
    if (to != active) {
      namenodes.get(active).getRpcServer().transitionToStandby(request);
    }
    namenodes.get(to).getRpcServer().transitionToActive(request);
    active = to;
  }

  /** Makes the other namenode the active one. */
  synchronized void failover() throws IOException {
    transition(1 - active);
  }

  synchronized void stopDatanode(int i) {
    datanodes.get(i).node.shutdown();
  }

  synchronized void startDatanode(int i) throws IOException {
    Datanode d = datanodes.get(i);
    d.node = DataNode.createDataNode(new String[] {}, new Configuration(d.conf));
    // It comes back at the ports it had.
    d.conf.set("dfs.datanode.address", address + ":" + d.node.getXferPort());
  }

  synchronized void safeMode(boolean on) throws IOException {
    namenodes.get(active).getRpcServer().setSafeMode(
        on ? SafeModeAction.SAFEMODE_ENTER : SafeModeAction.SAFEMODE_LEAVE, false);
  }

  private void awaitDatanodes(DistributedFileSystem fs) throws Exception {
    for (long end = System.nanoTime() + 60_000_000_000L;;) {
      if (fs.getDataNodeStats(DatanodeReportType.LIVE).length == datanodes.size()
          && !fs.setSafeMode(SafeModeAction.SAFEMODE_GET)) {
        return;
      }
      if (System.nanoTime() > end) {
        throw new IOException("the datanodes did not come up within a minute");
      }
      Thread.sleep(20); // the namenode tells nobody when a datanode registers
    }
  }

  private void storeContent(FileSystem fs) throws IOException {
    String user = settings.getProperty("user");
    org.apache.hadoop.fs.Path root = new org.apache.hadoop.fs.Path("/");
    String content = settings.getProperty("content", "");
    if (!content.isEmpty()) {
      Path top = Paths.get(content);
      try (Stream<Path> walk = Files.walk(top)) {
        for (Path p : (Iterable<Path>) walk::iterator) {
          Path relative = top.relativize(p);
          if (!relative.toString().isEmpty()) {
            store(fs, p, new org.apache.hadoop.fs.Path(root, relative.toString()), user);
          }
        }
      }
    }
    fs.setOwner(root, user, user);
  }

  private static void store(FileSystem fs, Path from, org.apache.hadoop.fs.Path to, String user) throws IOException {
    if (Files.isDirectory(from)) {
      fs.mkdirs(to);
    } else {
      fs.copyFromLocalFile(false, true, new org.apache.hadoop.fs.Path(from.toUri()), to);
    }
    int mode = 0;
    for (PosixFilePermission p : Files.getPosixFilePermissions(from)) {
      mode |= 0400 >> p.ordinal();
    }
    fs.setPermission(to, new FsPermission((short) mode));
    fs.setOwner(to, user, user);
  }

  private void publish(String control) throws IOException {
    String nodes = datanodes.stream()
        .map(d -> "{\"address\":\"" + address + ":" + d.node.getXferPort() + "\",\"dir\":\"" + d.dir + "\"}")
        .collect(Collectors.joining(","));
    String json = "{\"addresses\":[\"" + String.join("\",\"", addresses) + "\"],\"datanodes\":[" + nodes
        + "],\"control\":\"" + control + "\"}\n";
    Path tmp = dir.resolve("ready.json.tmp");
    Files.writeString(tmp, json);
    Files.move(tmp, dir.resolve("ready.json"), StandardCopyOption.ATOMIC_MOVE);
  }
}
