// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {AgentVault} from "../src/AgentVault.sol";

contract PlainToken is ERC20("Plain", "PLN") {
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// @dev Keeps a tenth of every transfer.
contract FeeToken is ERC20("Fee", "FEE") {
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (from != address(0) && to != address(0)) {
            super._update(from, address(this), amount / 10);
            amount -= amount / 10;
        }
        super._update(from, to, amount);
    }
}

/// @dev Says false and moves nothing.
contract FalseToken {
    function balanceOf(address) external pure returns (uint256) {
        return 0;
    }

    function transferFrom(address, address, uint256) external pure returns (bool) {
        return false;
    }
}

/// @dev Answers nothing at all on success, as some old ones do.
contract SilentToken {
    mapping(address => uint256) public balanceOf;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function transfer(address to, uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
    }

    function transferFrom(address from, address to, uint256 amount) external {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// @dev Calls back in the middle of a transfer, as ERC-777 does: the depositor deposits again.
contract HookToken is ERC20("Hook", "HOK") {
    AgentVault public vault;
    address public registry;
    uint256 public again;

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function arm(AgentVault vault_, address registry_, uint256 again_) external {
        (vault, registry, again) = (vault_, registry_, again_);
        _mint(address(this), again_);
        _approve(address(this), address(vault_), again_);
    }

    function _update(address from, address to, uint256 amount) internal override {
        uint256 again_ = again;
        if (again_ != 0 && to == address(vault)) {
            again = 0;
            vault.deposit(registry, 0, again_);
        }
        super._update(from, to, amount);
    }
}
