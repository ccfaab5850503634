import Model

/// Replaces names and paths in what dom0 uses its devices for.
struct UsageRedaction {
  let redactor: Redactor

  func redacted(_ answers: UsageAnswers) -> UsageAnswers {
    var new = answers
    new.host = answers.host.map { usage($0) }
    new.openings = answers.openings.mapValues { opening in
      if case .failed(let failure) = opening { .failed(redactor.failure(failure)) } else { opening }
    }
    new.boot = answers.boot.map { boot in
      var new = boot
      for index in new.moduleOptions.indices {
        new.moduleOptions[index].path = redactor.path(new.moduleOptions[index].path)
      }
      new.image?.path = boot.image.map { redactor.path($0.path) } ?? ""
      return new
    }
    return new
  }

  private func usage(_ usage: HostUsage) -> HostUsage {
    var new = usage
    new.blocks = usage.blocks.map { block($0) }
    new.mounts = usage.mounts.map { mount($0) }
    new.swaps = usage.swaps.map { redactor.path($0) }
    new.pools = usage.pools.map { pool in
      StoragePool(
        kind: pool.kind, name: pool.kind == .zfs ? redactor.item(pool.name) : pool.name, members: pool.members,
        isImported: pool.isImported)
    }
    new.network = network(usage.network)
    new.unread = usage.unread.mapValues { redactor.failure($0) }
    return new
  }

  private func block(_ block: BlockDevice) -> BlockDevice {
    var new = block
    new.title = block.title.map { redactor.item($0) }
    new.label = block.label.map { redactor.item($0) }
    new.backingFile = block.backingFile.map { redactor.path($0) }
    new.peers = block.peers.map { $0.map { redactor.address($0) } }
    return new
  }

  private func mount(_ mount: Mount) -> Mount {
    Mount(
      number: mount.number, type: mount.type, source: source(mount), point: redactor.path(mount.point),
      layers: mount.layers.map { redactor.path($0) }, peers: mount.peers.map { redactor.address($0) },
      carriers: mount.carriers)
  }

  /// Replaces the parts of a source: `tank/data` of ZFS, `host:/export` of NFS, the name of a volume.
  private func source(_ mount: Mount) -> String {
    guard let colon = mount.source.lastIndex(of: ":") else { return redactor.path(mount.source) }
    let host = mount.source[..<colon]
    return redactor.replace(String(host), .item) + ":"
      + redactor.path(String(mount.source[mount.source.index(after: colon)...]))
  }

  private func network(_ usage: NetworkUsage) -> NetworkUsage {
    var new = usage
    new.interfaces = usage.interfaces.map { interface in
      HostInterface(
        name: redactor.interface(interface.name), kind: interface.kind, functions: interface.functions,
        lower: interface.lower.map { redactor.interface($0) })
    }
    new.defaultRoutes = usage.defaultRoutes.map { route in
      DefaultRoute(
        family: route.family, table: route.table, interfaces: route.interfaces.map { redactor.interface($0) })
    }
    new.sessions = usage.sessions.map { redactor.address($0) }
    new.ways = Dictionary(
      usage.ways.map { (redactor.address($0.key), $0.value.map { redactor.interface($0) }) },
      uniquingKeysWith: { first, _ in first })
    return new
  }
}
