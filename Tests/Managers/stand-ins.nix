# Evaluates config/nix/berth.nix without nixpkgs: what the module needs of it is replaced by the least that will do.
{ module, package }:
let
  lib = {
    inherit (builtins) mapAttrs concatStringsSep;
    mapAttrsToList = f: set: map (name: f name set.${name}) (builtins.attrNames set);
    mkEnableOption = text: { inherit text; };
    mkOption = option: option;
    mkIf = condition: content: if condition then content else { };
    types = { package = "package"; anything = "anything"; attrsOf = of: "attributes of ${of}"; };
  };
  pkgs = {
    writeText = name: text: builtins.toFile name text;
    gnugrep = "/usr";
    # What a build would run is returned as a text that leads to it.
    runCommand = name: attributes: script:
      "${name}: ${builtins.concatStringsSep ":" (map toString attributes.nativeBuildInputs)}\n${script}";
  };
  config.services.berth = {
    enable = true;
    inherit package;
    manifests.host = {
      devices.lan0 = { address = "0000:03:00.0"; id = "8086:1533"; };
      domains.sys-net.devices = [ "lan0" ];
    };
  };
in
(import module { inherit config lib pkgs; }).config
