# A NixOS module: the devices of Xen guests as a part of the system's configuration.
#
#   services.berth = {
#     enable = true;
#     package = berth;
#     manifests.host = {
#       devices.lan0 = { address = "0000:03:00.0"; id = "8086:1533"; };
#       domains.sys-net.devices = [ "lan0" ];
#     };
#   };
#
# The manifests are checked when the system is built. They are JSON, in which each text has quotes, so no address is
# taken for a number. A changed manifest is applied when the system is switched.
{ config, lib, pkgs, ... }:
let
  cfg = config.services.berth;
  document = spec: {
    apiVersion = "berth/v1alpha1";
    kind = "HostAssignments";
    inherit spec;
  };
  # Every document begins with a line of its own, so that several files can be read together.
  text = name: spec: pkgs.writeText "${name}.yaml" "---\n${builtins.toJSON (document spec)}\n";
  files = lib.mapAttrs text cfg.manifests;
  directory = pkgs.runCommand "berth-manifests" { nativeBuildInputs = [ cfg.package ]; } ''
    mkdir -p $out
    ${lib.concatStringsSep "\n" (lib.mapAttrsToList (name: file: "cp ${file} $out/${name}.yaml") files)}
    berth validate $out
  '';
in
{
  options.services.berth = {
    enable = lib.mkEnableOption "Berth, which keeps the PCI devices of Xen guests as declared";
    package = lib.mkOption {
      type = lib.types.package;
      description = "The package that has bin/berth.";
    };
    manifests = lib.mkOption {
      type = lib.types.attrsOf (lib.types.attrsOf lib.types.anything);
      default = { };
      description = "The key `spec` of each manifest, by the name of its file.";
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    environment.etc."berth".source = directory;
    systemd.services.berth-apply = {
      description = "Declared PCI devices of Xen domains";
      wantedBy = [ "multi-user.target" ];
      after = [ "local-fs.target" "xenstored.service" "xen-init-dom0.service" "xenconsoled.service" "xen-store.service" ];
      before = [ "xendomains.service" "xen-domains.service" ];
      restartTriggers = [ directory ];
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        # Without Xen there is nothing to do, and the unit is skipped.
        ExecCondition = "${pkgs.gnugrep}/bin/grep -q control_d /proc/xen/capabilities";
        ExecStart = "${cfg.package}/bin/berth apply --yes ${directory}";
        TimeoutStartSec = "5min";
      };
    };
  };
}
